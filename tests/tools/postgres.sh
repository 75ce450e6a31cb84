#!/bin/sh
# A PostgreSQL of one's own in a temporary folder, for as long as standard input is open.
#
# Says one line, "FOLDER PORT", when it takes connections; when standard input ends, by whatever end of
# whoever started it, server and folder are gone. In FOLDER: the Unix socket, on which everybody is the
# superuser `postgres`; `ca.pem`, which signed the server's certificate for `localhost` and 127.0.0.1.
# Over TCP there is TLS alone, and the role `sekimori` (which may make databases) with the password in the
# file `password`. Nothing is synced to the disk: it is for tests.
set -eu

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || { echo "no PostgreSQL: apt-get install postgresql" >&2; exit 1; }

# A server refuses to run as root.
user= as=
if [ "$(id -u)" = 0 ]; then
    user=nobody
    id postgres >/dev/null 2>&1 && user=postgres
    as="setpriv --reuid $user --regid $(id -g "$user") --clear-groups --"
fi

folder=$(mktemp -d /tmp/sekimori-postgres.XXXXXX)
server=
finish() {
    trap '' INT TERM HUP
    if [ -n "$server" ]; then
        kill -INT "$server" 2>/dev/null || :
        wait "$server" || :
    fi
    rm -rf "$folder"
}
trap finish EXIT
# Ctrl-C reaches everybody; the folder goes when standard input ends.
trap '' INT TERM HUP

chmod 755 "$folder"
[ -z "$user" ] || chown "$user" "$folder"
cd "$folder"
key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650"
{
    openssl req -x509 $key -keyout ca.key -out ca.pem -subj "/CN=test database CA" \
        -addext basicConstraints=critical,CA:TRUE
    openssl req $key -keyout server.key -out server.csr -subj "/CN=localhost"
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n' >server.ext
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile server.ext \
        -out server.pem
    openssl rand -hex 16 >password
} 2>openssl.log || { cat openssl.log >&2; exit 1; }
chmod 600 server.key ca.key password
[ -z "$user" ] || chown "$user" server.key

$as "$bin/initdb" -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >initdb.log 2>&1 ||
    { cat initdb.log >&2; exit 1; }
cat >"$folder/data/pg_hba.conf" <<'HBA'
local   all all                 trust
hostssl all all 127.0.0.1/32    scram-sha-256
HBA
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
$as "$bin/postgres" -D "$folder/data" -k "$folder" -h 127.0.0.1 -p "$port" \
    -c fsync=off -c full_page_writes=off -c max_connections=200 -c log_min_messages=warning \
    -c ssl=on -c ssl_cert_file="$folder/server.pem" -c ssl_key_file="$folder/server.key" \
    </dev/null >server.log 2>&1 &
server=$!
sql() { "$bin/psql" -qAt -h "$folder" -p "$port" -U postgres -v ON_ERROR_STOP=1 "$@"; }
tries=0
until sql -c "SELECT 1" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
        cat server.log >&2
        exit 1
    fi
    sleep 0.1
done
sql -c "CREATE ROLE sekimori LOGIN CREATEDB PASSWORD '$(cat password)'" </dev/null

echo "$folder $port"
cat >/dev/null
