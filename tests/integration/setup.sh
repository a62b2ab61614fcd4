# shellcheck shell=bash
# What a Debian 12 machine needs before it can build, test or demonstrate Forebay. Sourced by
# tests/run and packaging/demo, which set `root` to the top of the source tree first.
# shellcheck disable=SC2034  # what is set here is for them

root=${root:?the script that reads this one sets it}

# Command or file that shows that a package is there, and the package that brings it.
build_packages=(
  'g++=g++' cmake=cmake ninja=ninja-build pkg-config=pkg-config ar=binutils
  /usr/include/boost/version.hpp=libboost1.81-dev
  /usr/include/openssl/ssl.h=libssl-dev
  /usr/include/spdlog/spdlog.h=libspdlog-dev
  /usr/include/toml++/toml.h=libtomlplusplus-dev
  /usr/include/prometheus/registry.h=prometheus-cpp-dev
  /usr/include/CLI/CLI.hpp=libcli11-dev
  /usr/include/postgresql/libpq-fe.h=libpq-dev
  /usr/lib/postgresql/15/lib/libpgcommon.a=postgresql-server-dev-15
  /usr/include/pg_query.h=libpg-query-dev
  /usr/include/re2/re2.h=libre2-dev
  /usr/bin/python3=python3 openssl=openssl
)
unit_test_packages=(
  /usr/include/gtest/gtest.h=libgtest-dev
  /usr/include/gmock/gmock.h=libgmock-dev
)
fuzz_packages=(
  'clang++=clang'
  /usr/share/doc/libclang-rt-14-dev=libclang-rt-14-dev
)
server_packages=(
  /usr/lib/postgresql/15/bin/initdb=postgresql-15
  /usr/lib/postgresql/15/bin/pgbench=postgresql-15
  psql=postgresql-client-15
  setpriv=util-linux
  promtool=prometheus
)
driver_packages=(
  /usr/lib/python3/dist-packages/psycopg/__init__.py=python3-psycopg
  /usr/lib/python3/dist-packages/psycopg2/__init__.py=python3-psycopg2
  /usr/lib/python3/dist-packages/asyncpg/__init__.py=python3-asyncpg
  /usr/share/java/postgresql.jar=libpostgresql-jdbc-java
  javac=openjdk-17-jdk-headless
  node=nodejs npm=npm
  /usr/lib/python3/dist-packages/sqlalchemy/__init__.py=python3-sqlalchemy
  /usr/share/gocode/src/github.com/lib/pq/conn.go=golang-github-lib-pq-dev
  /usr/share/gocode/src/github.com/jackc/pgx/v4/conn.go=golang-github-jackc-pgx-v4-dev
  go=golang-go
  /usr/include/pqxx/pqxx=libpqxx-dev
  /etc/odbcinst.ini=odbc-postgresql
  /usr/lib/python3/dist-packages/pyodbc.pyi=python3-pyodbc
  /var/lib/dpkg/info/libdbd-pg-perl.list=libdbd-pg-perl
  ruby=ruby /var/lib/dpkg/info/ruby-pg.list=ruby-pg
  php=php-cli /var/lib/dpkg/info/php-pgsql.list=php-pgsql
  /usr/lib/python3/dist-packages/greenlet/__init__.py=python3-greenlet
  /usr/lib/python3/dist-packages/pytest/__init__.py=python3-pytest
)
browser_packages=(chromium-headless-shell=chromium-headless-shell)
packaging_packages=(dh=debhelper lintian=lintian man=man-db systemd-analyze=systemd)

# "[ 1:05] text": what happens, and when it began.
say() {
  printf '[%2d:%02d] %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

is_there() {
  if [[ $1 == /* ]]; then
    [[ -e $1 ]]
  else
    command -v "$1" > /dev/null
  fi
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo "$@"
  fi
}

# install_missing TEXT SHOWS=PACKAGE...: installs what is not there yet, and says so.
install_missing() {
  local purpose=$1 entry
  local -a missing=()
  shift
  for entry in "$@"; do
    is_there "${entry%%=*}" || missing+=("${entry#*=}")
  done
  ((${#missing[@]})) || return 0
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  if ! command -v apt-get > /dev/null; then
    echo "These Debian packages are missing ($purpose): ${missing[*]}" >&2
    return 1
  fi
  if ((EUID != 0)) && ! command -v sudo > /dev/null; then
    echo "Run as root, or install these packages first ($purpose): ${missing[*]}" >&2
    return 1
  fi
  say "installing packages $purpose: ${missing[*]}"
  ((EUID == 0)) || sudo -v                  # asks for the password now, in the foreground
  # Debian's postgresql package starts a server of its own; nothing here uses it.
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update > /dev/null
  watched "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y --no-install-recommends install "${missing[@]}"
}

# The last line of a log that says how far a build or a test run is.
how_far() {
  { grep -oE '^\[[0-9]+/[0-9]+\]|^ *[0-9]+/[0-9]+ Test|\([0-9]+/[0-9]+\)$' "$1" || true; } |
    tail -n 1 | tr -dc '0-9/'
}

# watched TEXT COMMAND...: runs a command with its output in a log, with a line every 20 seconds;
# shows the end of the log when it fails. The log is $log afterwards.
watched() {
  local what=$1 begun=$SECONDS code=0 child
  shift
  mkdir -p "$root/build/logs"
  log="$root/build/logs/${what//[^[:alnum:]-]/_}.log"
  say "$what ..."
  set -m                                    # a process group of its own, to end it as a whole
  "$@" > "$log" 2>&1 < /dev/null &
  child=$!
  set +m
  watched_child=$child
  local next=$((SECONDS + 20))
  while kill -0 "$child" 2> /dev/null; do
    sleep 0.2
    if ((SECONDS >= next)); then
      say "$what ... $(how_far "$log")"
      next=$((SECONDS + 20))
    fi
  done
  wait "$child" || code=$?
  watched_child=
  if ((code)); then
    say "$what: FAILED (exit code $code) after $((SECONDS - begun)) s; $log ends with:"
    tail -n "${tail_lines:-40}" "$log" | sed 's/^/    /'
    return "$code"
  fi
  say "$what: done in $((SECONDS - begun)) s"
}

# Ends what `watched` is waiting for; for the traps of the scripts.
end_watched() {
  if [[ -n ${watched_child:-} ]]; then
    kill -TERM -- "-$watched_child" 2> /dev/null || true
    wait "$watched_child" 2> /dev/null || true
    watched_child=
  fi
}

# ThreadSanitizer needs addresses that are not spread over the whole address space.
steady_addresses=()
find_steady_addresses() {
  local bits
  bits=$(cat /proc/sys/vm/mmap_rnd_bits 2> /dev/null || echo 0)
  if ((bits > 28)) && setarch "$(uname -m)" -R true 2> /dev/null; then
    steady_addresses=(setarch "$(uname -m)" -R)
  fi
}

# build PRESET [CMake options and -- targets]
build() {
  local preset=$1
  local -a runner=() options=() targets=()
  shift
  [[ $preset == tsan ]] && runner=("${steady_addresses[@]}")
  while (($#)); do
    if [[ $1 == -- ]]; then
      shift
      targets=(--target "$@")
      break
    fi
    options+=("$1")
    shift
  done
  cd "$root" || return
  watched "configure $preset" cmake --preset "$preset" "${options[@]}" || return
  watched "build $preset" "${runner[@]}" cmake --build --preset "$preset" --parallel "${jobs:-$(nproc)}" \
    "${targets[@]}"
}
