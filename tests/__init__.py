"""The promises of AuraLink; the folders mirror the packages, support/ holds what several tests share."""
