#!/bin/sh
# Starts coturn with turnserver.conf, which lies beside this file, and what the environment says: the address of this
# machine, the public one that a 1:1 NAT gives it, if there is one, and the secrets, newest first. They go through a file,
# since a command line can be read by everybody.
set -eu
umask 077
: "${AURALINK_ADDRESS:?}" "${AURALINK_TURN_SECRET:?}"

folder=${TMPDIR:-/tmp}
public=${AURALINK_PUBLIC_ADDRESS:-$AURALINK_ADDRESS}
{
    cat "$(dirname "$0")/turnserver.conf"
    echo "userdb=$folder/turndb"
    echo "pidfile=$folder/turnserver.pid"
    echo "listening-ip=$AURALINK_ADDRESS"
    echo "relay-ip=$AURALINK_ADDRESS"
    # With the next line clients are told the public address, and a peer that they name by it is this machine: what is
    # relayed to AuraLink never leaves it, so that it is this address which has to be allowed, and no other.
    if [ "$public" != "$AURALINK_ADDRESS" ]; then echo "external-ip=$public/$AURALINK_ADDRESS"; fi
    echo "allowed-peer-ip=$AURALINK_ADDRESS"
    printf '%s\n' "$AURALINK_TURN_SECRET" | tr ',' '\n' | sed -n 's/^ *\([^ ].*\)$/static-auth-secret=\1/p'
} > "$folder/turnserver.conf"
unset AURALINK_TURN_SECRET
exec turnserver -c "$folder/turnserver.conf"
