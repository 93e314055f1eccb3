#!/usr/bin/env bash
# Brings the programs that tests, demo and benches run, without root and without touching the system.
#
#   tests/tools.sh              all sets
#   tests/tools.sh mysql valkey only these sets
#   tests/tools.sh --list       names of the sets
#
# A program found in PATH that is recent enough is used as it is; else its Debian packages are unpacked under `.tools/`
# (PANONO_TOOLS names another folder). Either way `.tools/bin/NAME` is a small script that starts it, and that is where
# the testbed looks. A set that is complete has a stamp and costs nothing; a set whose recipe below changed is made anew.
# Packages come from the package sources that this machine is configured with. MySQL and Valkey come from the suite `sid`
# of the same sources, because no stable suite has them, and run with the C library of that suite through its own loader.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${PANONO_TOOLS:-$repository/.tools}
all_sets=(mysql valkey varnish)
attempts=4

say() { printf 'tools: %s\n' "$*" >&2; }
fail() {
  printf 'tools: %s\n' "$*" >&2
  exit 1
}

# version_at_least FOUND WANTED: compares dotted versions.
version_at_least() { [ -n "$1" ] && [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# first_version: the first dotted number in what is read.
first_version() { grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)*' | head -n 1 || true; }

# in_path NAME: the program's path outside `.tools`, from PATH or the folders that an ordinary user's PATH leaves out.
in_path() {
  local folder
  local IFS=:
  for folder in $PATH:/usr/local/sbin:/usr/sbin:/sbin; do
    [ "$folder" -ef "$tools/bin" ] && continue
    if [ -f "$folder/$1" ] && [ -x "$folder/$1" ]; then
      printf '%s\n' "$folder/$1"
      return
    fi
  done
  return 1
}

# with_attempts COMMAND…: runs it until it succeeds, a bounded number of times.
with_attempts() {
  local attempt
  for ((attempt = 1; attempt <= attempts; attempt++)); do
    "$@" && return
    [ "$attempt" -eq "$attempts" ] || {
      say "attempt $attempt of $attempts did not succeed, trying again in $((attempt * 3)) s: $1"
      sleep "$((attempt * 3))"
    }
  done
  return 1
}

# write_program NAME <script: puts a script into `.tools/bin`, whole or not at all. In it, $tools is the `.tools` folder.
write_program() {
  mkdir -p "$tools/bin"
  {
    printf '#!/bin/sh\ntools=$(dirname "$(dirname "$(readlink -f "$0")")")\n'
    cat
  } >"$tools/bin/.$1.new"
  chmod 755 "$tools/bin/.$1.new"
  mv "$tools/bin/.$1.new" "$tools/bin/$1"
}

use_from_path() { printf 'exec %q "$@"\n' "$2" | write_program "$1"; }

# ---------------------------------------------------------------- packages

apt_options=()

# apt_folder NAME: a private apt state, so that neither the system's lists nor its locks are touched.
apt_folder() {
  apt_state=$tools/apt/$1
  mkdir -p "$apt_state/lists/partial" "$apt_state/archives/partial" "$apt_state/preferences.d"
  apt_options=(
    -q=2
    -o "Dir::State=$apt_state" -o "Dir::State::lists=$apt_state/lists" -o "Dir::State::status=$apt_state/status"
    -o "Dir::State::extended_states=$apt_state/extended_states"
    -o "Dir::Cache=$apt_state" -o "Dir::Cache::archives=$apt_state/archives"
    -o "Dir::Etc::preferences=/dev/null" -o "Dir::Etc::preferencesparts=$apt_state/preferences.d"
    -o "Dir::Log=$apt_state" -o "Dpkg::Use-Pty=0"
    -o "Debug::NoLocking=1" -o "APT::Sandbox::User=root" -o "APT::Default-Release="
    -o "APT::Install-Recommends=0" -o "APT::Install-Suggests=0" -o "Acquire::Languages=none"
    -o "Acquire::Retries=3" -o "Acquire::http::Timeout=60" -o "Acquire::https::Timeout=60"
    -o "APT::Update::Post-Invoke-Success::=" -o "APT::Update::Error-Mode=any"
  )
}

# need_debian: clear words where the packages cannot be had, instead of an error of apt.
need_debian() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    fail "this machine has no apt: put $1 into PATH and run this again"
}

# apt_sid: the state folder for suite sid, resolved as if nothing at all were installed.
apt_sid() {
  local codename uri keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=''
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  apt_folder sid
  : >"$apt_state/status"
  [ -r "$keyring" ] && signed="[signed-by=$keyring] "
  # The mirror of this machine's own suite carries sid, too. A third party's source may use the same suite name: those
  # whose path is Debian's are tried first, and the first that answers for sid is taken.
  while read -r uri; do
    printf 'deb %s%s sid main\n' "$signed" "$uri" >"$apt_state/sources.list"
    apt_options+=(-o "Dir::Etc::sourcelist=$apt_state/sources.list" -o "Dir::Etc::sourceparts=/dev/null")
    with_attempts apt-get "${apt_options[@]}" update >&2 && return
  done < <(apt-get indextargets --format '$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)' |
    awk -v suite="$codename" '$1 == "Packages" && $2 == suite && $3 == "main" { print ($4 ~ /\/debian\/?$/ ? 0 : 1), $4 }' |
    sort -u | cut -d' ' -f2)
  fail "none of this machine's package sources offers Debian's suite sid: put $1 into PATH and run this again"
}

# apt_own PACKAGE…: the state folder for the machine's own suites. What the system has is not fetched again, but for the
# packages named, which are wanted whole.
apt_own() {
  apt_folder own
  awk -v wanted=" $* " 'BEGIN { RS = ""; ORS = "\n\n" } { split($0, line, "\n"); name = line[1]; sub(/^Package: /, "", name)
    if (index(wanted, " " name " ") == 0) print }' /var/lib/dpkg/status >"$apt_state/status"
  with_attempts apt-get "${apt_options[@]}" update >&2 || fail "the package lists could not be read, see above"
}

# unpack NAME PACKAGE…: the packages with what they need, unpacked into `.tools/NAME`.
unpack() {
  local name=$1 package count=0
  shift
  rm -f "$apt_state"/archives/*.deb
  say "$name: downloading $* and what they need"
  with_attempts apt-get "${apt_options[@]}" --yes --download-only install "$@" >&2 ||
    fail "$name: the packages could not be downloaded, see above"
  fresh=$tools/.new.$name.$$
  rm -rf "$fresh"
  mkdir -p "$fresh"
  for package in "$apt_state"/archives/*.deb; do
    # Documentation and translations are the greater part of many packages and nothing here reads them.
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$fresh" --no-same-owner --keep-directory-symlink \
      --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' --exclude='./dev/*'
    count=$((count + 1))
  done
  rm -f "$apt_state"/archives/*.deb
  replace_folder "$fresh" "$tools/$name"
  say "$name: $count packages unpacked into $tools/$name"
}

# replace_folder NEW FINAL: the old folder makes room only when the new one is complete.
replace_folder() {
  rm -rf "$2.old"
  [ ! -e "$2" ] || mv "$2" "$2.old"
  mv "$1" "$2"
  rm -rf "$2.old"
}

# The start of a script for a program with a C library of its own: $root, $loader and $libraries of an unpacked folder.
own_loader() {
  cat <<SCRIPT
root=\$tools/$1
for loader in "\$root"/usr/lib/*/ld-linux-*.so.* "\$root"/usr/lib64/ld-linux-*.so.* "\$root"/usr/lib/ld-linux-*.so.*; do
  [ -e "\$loader" ] && break
done
libraries=
for folder in "\$root"/usr/lib/*-linux-gnu*; do libraries=\$folder:\$folder/..${2:+:\$root/usr/lib/$2}; done
SCRIPT
}

# The start of a script for a program of the machine's own suite: libraries that the system lacks are found beside it.
own_libraries() {
  cat <<SCRIPT
root=\$tools/$1
for folder in "\$root"/usr/lib/*-linux-gnu*; do
  LD_LIBRARY_PATH=\$folder:\$folder/${2:-.}\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
done
export LD_LIBRARY_PATH
SCRIPT
}

# ---------------------------------------------------------------- the sets

set_mysql() { # mysqld 8.4 or later with Group Replication
  local found
  if found=$(in_path mysqld) && ! "$found" --version | grep -qi mariadb &&
    version_at_least "$("$found" --version | grep -oE 'Ver [0-9.]+' | first_version)" 8.4; then
    use_from_path mysqld "$found"
    return
  fi
  need_debian 'mysqld 8.4 or later'
  apt_sid 'mysqld 8.4 or later'
  unpack mysql mysql-server-core
  # The first argument decides about option files, because mysqld insists on seeing it first.
  {
    own_loader mysql mysql/private
    cat <<'SCRIPT'
case ${1:-} in
--defaults-file=* | --no-defaults) first=$1; shift ;;
*) first=--no-defaults ;;
esac
exec "$loader" --library-path "$libraries" "$root/usr/sbin/mysqld" "$first" --basedir="$root/usr" \
  --plugin-dir="$root/usr/lib/mysql/plugin" --lc-messages-dir="$root/usr/share/mysql" \
  --character-sets-dir="$root/usr/share/mysql/charsets" --secure-file-priv=NULL "$@"
SCRIPT
  } | write_program mysqld
}

set_valkey() { # valkey-server 8 or later, or redis-server 7 or later
  local found
  if found=$(in_path valkey-server) && version_at_least "$("$found" --version | grep -oE 'v=[0-9.]+' | first_version)" 8; then
    use_from_path valkey-server "$found"
    return
  fi
  if found=$(in_path redis-server) && version_at_least "$("$found" --version | grep -oE 'v=[0-9.]+' | first_version)" 7; then
    use_from_path valkey-server "$found"
    return
  fi
  need_debian 'valkey-server 8 or later'
  apt_sid 'valkey-server 8 or later'
  unpack valkey valkey-server
  {
    own_loader valkey
    printf '%s\n' 'exec "$loader" --library-path "$libraries" "$root/usr/bin/valkey-server" "$@"'
  } | write_program valkey-server
}

set_varnish() { # varnishd 7 with the modules xkey, var and header
  local found program
  command -v gcc >/dev/null || fail 'varnish: varnishd compiles its configuration with gcc: install gcc'
  if found=$(in_path varnishd) && version_at_least "$("$found" -V 2>&1 | first_version)" 7 &&
    in_path varnishadm >/dev/null && in_path varnishlog >/dev/null &&
    [ -n "$(find /usr/lib /usr/local/lib -name libvmod_xkey.so -print -quit 2>/dev/null)" ]; then
    for program in varnishd varnishadm varnishlog; do use_from_path "$program" "$(in_path "$program")"; done
    return
  fi
  need_debian 'varnishd 7 with varnish-modules'
  apt_own varnish varnish-modules libvarnishapi3
  unpack varnish varnish varnish-modules
  {
    own_libraries varnish varnish
    # varnishd -V knows no parameters.
    cat <<'SCRIPT'
[ "${1:-}" != -V ] || exec "$root/usr/sbin/varnishd" -V
for folder in "$root"/usr/lib/*-linux-gnu*/varnish/vmods; do :; done
exec "$root/usr/sbin/varnishd" -p "vmod_path=$folder" "$@"
SCRIPT
  } | write_program varnishd
  for program in varnishadm varnishlog; do
    { own_libraries varnish varnish; printf 'exec "$root/usr/bin/%s" "$@"\n' "$program"; } | write_program "$program"
  done
}

# ---------------------------------------------------------------- main

# recipe SET: a set is made anew when its own function or its kind of source changed.
recipe() { declare -f "set_$1" own_loader own_libraries use_from_path write_program | sha256sum | cut -d' ' -f1; }

programs_of() {
  case $1 in
  mysql) echo mysqld ;;
  valkey) echo valkey-server ;;
  varnish) echo varnishd varnishadm varnishlog ;;
  esac
}

# complete SET: its stamp is of this recipe, and its programs can still be started.
complete() {
  local program
  [ "$(cat "$tools/stamps/$1" 2>/dev/null)" = "$(recipe "$1")" ] || return 1
  for program in $(programs_of "$1"); do
    version_of "$program" >/dev/null || return 1
  done
}

version_of() {
  local found
  case $1 in
  mysqld) found=$("$tools/bin/mysqld" --version 2>&1 | grep -oE 'Ver [0-9.]+' | first_version) ;;
  valkey-server) found=$("$tools/bin/valkey-server" --version 2>&1 | grep -oE 'v=[0-9.]+' | first_version) ;;
  varnishadm) found=$("$tools/bin/varnishd" -V 2>&1 | first_version) ;; # it has no option to tell its own
  *) found=$("$tools/bin/$1" -V 2>&1 | first_version) ;;
  esac
  [ -n "$found" ] && printf '%s\n' "$found"
}

main() {
  local sets=("$@") name program
  [ "${1:-}" != --list ] || { printf '%s\n' "${all_sets[@]}"; return; }
  [ ${#sets[@]} -gt 0 ] || sets=("${all_sets[@]}")
  for name in "${sets[@]}"; do
    [[ " ${all_sets[*]} " == *" $name "* ]] || fail "there is no set '$name'; the sets are: ${all_sets[*]}"
  done
  mkdir -p "$tools/stamps"
  tools=$(cd "$tools" && pwd -P)
  # Several checkouts or targets may ask at once: one installs, the others find it done.
  exec 9>"$tools/.lock"
  flock 9
  for name in "${sets[@]}"; do
    complete "$name" && continue
    rm -f "$tools/stamps/$name"
    rm -rf "$tools"/.new."$name".*
    "set_$name" 9>&-
    recipe "$name" >"$tools/stamps/$name.new"
    mv "$tools/stamps/$name.new" "$tools/stamps/$name"
    complete "$name" || { rm -f "$tools/stamps/$name"; fail "$name was installed but does not start: run $tools/bin/$(programs_of "$name" | cut -d' ' -f1) to see why"; }
  done
  # The package lists are large, soon out of date, and read anew when something is to be installed.
  rm -rf "$tools/apt"
  for name in "${sets[@]}"; do
    for program in $(programs_of "$name"); do
      printf '%-16s %-50s %s\n' "$program" "$tools/bin/$program" "$(version_of "$program")"
    done
  done
}

main "$@"
