#!/usr/bin/env bash
# Installs what the tests talk to: MariaDB, Redis, Prometheus, its Alertmanager, Chromium for the page, and Node and curl
# for the client's examples, from Debian's or Ubuntu's packages. Does nothing if all are there or, of databases, named
# by the environment. Starts no service: the tests start their own.
set -euo pipefail

PATH="$PATH:/usr/sbin:/usr/local/sbin"
packages=()
if [ -z "${CRYPTO_DATA_TEST_MARIADB_URL:-}" ] && ! command -v mariadbd >/dev/null; then
  packages+=(mariadb-server)
fi
if [ -z "${CRYPTO_DATA_TEST_REDIS_URL:-}" ] && ! command -v redis-server >/dev/null; then
  packages+=(redis-server)
fi
command -v promtool >/dev/null || packages+=(prometheus)
command -v prometheus-alertmanager >/dev/null || command -v alertmanager >/dev/null \
  || packages+=(prometheus-alertmanager)
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
  packages+=(chromium)
fi
for program in node curl; do
  if ! command -v "$program" >/dev/null; then
    packages+=("${program/#node/nodejs}")
  fi
done
if [ ${#packages[@]} -eq 0 ]; then
  echo "servers: nothing to install"
  exit 0
fi

explain() {
  echo "servers: missing ${packages[*]}; $1." >&2
  echo "  Debian, Ubuntu: sudo apt-get install --no-install-recommends ${packages[*]}" >&2
  echo "  macOS:          brew install mariadb redis prometheus alertmanager node curl; Chromium in PATH as chromium" >&2
  echo "  or name running ones of the first two: CRYPTO_DATA_TEST_MARIADB_URL, CRYPTO_DATA_TEST_REDIS_URL" >&2
  exit 1
}

command -v apt-get >/dev/null || explain "this machine has no apt-get"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null && sudo -n true 2>/dev/null || explain "installing needs root"
  as_root=(sudo -n)
fi

# A package's script asks this file before it starts a service; 101 means: do not.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi
echo "servers: installing ${packages[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null
