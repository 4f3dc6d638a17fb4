"""What happens to several instances and the people at them, told one after the other; test files play them."""
