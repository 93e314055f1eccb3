#!/usr/bin/env bash
# Brings the programs that tests, demo and benches run, without root and without touching the system.
#
#   tests/tools.sh              all sets
#   tests/tools.sh mysql valkey only these sets
#   tests/tools.sh --list       names of the sets, for: databases, edge, benches (nginx, wrk), browser tests (browser, axe), API tests
#                               (schemathesis), charts (helm)
#
# A program found in PATH that is recent enough is used as it is; else its Debian packages are unpacked under `.tools/`
# (PANONO_TOOLS names another folder). Either way `.tools/bin/NAME` is a small script that starts it, and that is where
# the testbed looks. A set that is complete has a stamp and costs nothing; a set whose recipe below changed is made anew.
# Packages come from the package sources that this machine is configured with. MySQL and Valkey come from the suite `sid`
# of the same sources, because no stable suite has them, and run with the C library of that suite through its own loader.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tools=${PANONO_TOOLS:-$repository/.tools}
all_sets=(mysql valkey varnish nginx wrk browser axe schemathesis helm)
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

# apt_folder NAME: a private apt state, so that neither the system's lists nor its locks are touched. The machine's
# settings hold (proxies, credentials), but for the commands that it runs after apt, which are about the system.
apt_folder() {
  local part
  apt_state=$tools/apt/$1
  rm -rf "$apt_state/parts"
  mkdir -p "$apt_state/lists/partial" "$apt_state/archives/partial" "$apt_state/preferences.d" "$apt_state/parts"
  for part in /etc/apt/apt.conf.d/*; do
    [ ! -r "$part" ] || ln -s "$part" "$apt_state/parts/"
  done
  printf '#clear %s;\n' {APT::Update,DPkg}::{Pre-Invoke,Post-Invoke,Post-Invoke-Success,Pre-Install-Pkgs} \
    >"$apt_state/parts/zz-no-commands"
  printf 'Dir::Etc::parts "%s/parts";\n' "$apt_state" >"$apt_state/apt.conf"
  export APT_CONFIG=$apt_state/apt.conf
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
    -o "APT::Update::Error-Mode=any"
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
    # Beside the machine's own loader only the machine's own C library works.
    case $apt_state:${package##*/} in */own:libc6_* | */own:libc-bin_*) continue ;; esac
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
for folder in "\$root"/lib/*-linux-gnu* "\$root"/usr/lib/*-linux-gnu*${2:+ \"\$root\"/usr/lib/*-linux-gnu*/$2}; do
  LD_LIBRARY_PATH=\$folder\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
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
    use_from_path valkey-cli "$(in_path valkey-cli)"
    return
  fi
  if found=$(in_path redis-server) && version_at_least "$("$found" --version | grep -oE 'v=[0-9.]+' | first_version)" 7; then
    use_from_path valkey-server "$found"
    use_from_path valkey-cli "$(in_path redis-cli)"
    return
  fi
  need_debian 'valkey-server 8 or later'
  apt_sid 'valkey-server 8 or later'
  unpack valkey valkey-server
  {
    own_loader valkey
    printf '%s\n' 'exec "$loader" --library-path "$libraries" "$root/usr/bin/valkey-server" "$@"'
  } | write_program valkey-server
  {
    own_loader valkey
    printf '%s\n' 'exec "$loader" --library-path "$libraries" "$root/usr/bin/valkey-cli" "$@"'
  } | write_program valkey-cli
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

set_nginx() { # nginx, the yardstick of the benches
  local found
  if found=$(in_path nginx) && version_at_least "$("$found" -v 2>&1 | first_version)" 1.18; then
    use_from_path nginx "$found"
    return
  fi
  need_debian nginx
  apt_own nginx nginx-common
  unpack nginx nginx
  { own_libraries nginx; printf '%s\n' 'exec "$root/usr/sbin/nginx" "$@"'; } | write_program nginx
}

set_wrk() { # wrk, the load of the benches
  local found
  if found=$(in_path wrk); then
    use_from_path wrk "$found"
    return
  fi
  need_debian wrk
  apt_own wrk
  unpack wrk wrk
  { own_libraries wrk; printf '%s\n' 'exec "$root/usr/bin/wrk" "$@"'; } | write_program wrk
}

set_browser() { # chromium with the chromedriver of its version
  local browser driver
  if browser=$(in_path chromium) && driver=$(in_path chromedriver) &&
    [ "$("$browser" --version 2>/dev/null | first_version)" = "$("$driver" --version | first_version)" ]; then
    use_from_path chromium "$browser"
    use_from_path chromedriver "$driver"
    return
  fi
  need_debian 'chromium and chromedriver'
  apt_own chromium chromium-common chromium-driver
  unpack browser chromium chromium-driver fonts-dejavu-core
  # Unpacked fonts are not where the machine looks for them, and a machine without a screen may have none at all.
  cat >"$tools/browser/fonts.conf" <<'XML'
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir prefix="relative">usr/share/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
XML
  {
    own_libraries browser pulseaudio
    # The sandbox would need a program owned by root. Tests open nothing but our own pages.
    cat <<'SCRIPT'
export FONTCONFIG_FILE="$root/fonts.conf"
exec "$root/usr/lib/chromium/chromium" --no-sandbox "$@"
SCRIPT
  } | write_program chromium
  { own_libraries browser pulseaudio; printf '%s\n' 'exec "$root/usr/bin/chromedriver" "$@"'; } | write_program chromedriver
}

# python_with_pip SET: fills `python` with a Python whose pip works, unpacked for the moment if the machine has none.
python_with_pip() {
  if python=$(in_path python3) && "$python" -m pip --version >/dev/null 2>&1; then
    return
  fi
  need_debian 'python3 with pip'
  say "$1: this machine has no pip"
  apt_own python3-pip
  unpack pip python3-pip
  own_libraries pip | { cat; printf '%s\n' \
    'export PYTHONPATH="$root/usr/lib/python3/dist-packages"' \
    '[ -x "$root/usr/bin/python3" ] && exec "$root/usr/bin/python3" "$@"' \
    'exec python3 "$@"'; } | write_program python-with-pip
  python=$tools/bin/python-with-pip
}

without_pip() { rm -rf "$tools/pip" "$tools/bin/python-with-pip"; }

set_axe() { # axe-core, the accessibility rules: one script, bundled by a Python package
  local python folder wheel script
  python_with_pip axe
  folder=$tools/.new.axe.$$
  mkdir -p "$folder"
  say 'axe: downloading the Python package axe-playwright-python'
  with_attempts "$python" -m pip --quiet --disable-pip-version-check --retries 1 download --no-deps --only-binary=:all: \
    --dest "$folder" 'axe-playwright-python>=0.1.4' >&2 || fail 'axe: the package could not be downloaded, see above'
  wheel=$(find "$folder" -name '*.whl' -print -quit)
  "$python" -m zipfile -e "$wheel" "$folder/unpacked"
  script=$(find "$folder/unpacked" -name axe.min.js -print -quit)
  [ -n "$script" ] || fail "axe: there is no axe.min.js in $(basename "$wheel")"
  mkdir -p "$tools/share"
  mv "$script" "$tools/share/axe.min.js"
  rm -rf "$folder"
  without_pip
}

set_schemathesis() { # schemathesis, which tries the API against its own description
  local python folder runner
  runner=$(in_path python3) || fail 'schemathesis: install python3'
  python_with_pip schemathesis
  folder=$tools/.new.schemathesis.$$
  say 'schemathesis: downloading the Python package and what it needs'
  # One version: a newer one may check more, and tests are to fail for what the shop does alone.
  with_attempts "$python" -m pip --quiet --disable-pip-version-check --retries 1 install --only-binary=:all: --target "$folder" \
    'schemathesis==4.32.5' >&2 || fail 'schemathesis: the package could not be installed, see above'
  rm -rf "$tools/schemathesis"
  mv "$folder" "$tools/schemathesis"
  without_pip
  printf 'export PYTHONPATH="$tools/schemathesis"\nexec %q -c %q "$@"\n' "$runner" \
    'from schemathesis.cli import schemathesis; schemathesis(prog_name="schemathesis")' | write_program schemathesis
}

set_helm() { # helm, or what tests need of it with its own code, from a Python package
  local found python
  if found=$(in_path helm) && version_at_least "$("$found" version --short 2>/dev/null | first_version)" 3.14; then
    use_from_path helm "$found"
    return
  fi
  python=$(in_path python3) || fail 'helm: put helm, or python3, into PATH'
  python_with_pip helm
  local fresh=$tools/.new.helm.$$
  rm -rf "$fresh"
  say 'helm: downloading the Python package helm-python-sdk'
  with_attempts "$python" -m pip --quiet --disable-pip-version-check --retries 1 install --no-deps --only-binary=:all: \
    --target "$fresh" 'helm-python-sdk>=0.2.2,<0.3' >&2 || fail 'helm: the package could not be installed, see above'
  without_pip
  cat >"$fresh/helm.py" <<'PYTHON'
"""The commands of helm that tests use, by its own code: version, lint, template, install, upgrade, uninstall."""
import argparse, os, sys
import helm_python as helm

parser = argparse.ArgumentParser(prog="helm")
parser.add_argument("command", choices=["version", "lint", "template", "install", "upgrade", "uninstall"])
parser.add_argument("names", nargs="*")
parser.add_argument("--short", action="store_true")
parser.add_argument("--strict", action="store_true")
parser.add_argument("--create-namespace", action="store_true")
parser.add_argument("--namespace", "-n", default="default")
parser.add_argument("--values", "-f", action="append", default=[])
given = parser.parse_args()


def merge(into, values):
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


values = {}
for path in given.values:
    with open(path) as file:
        merge(values, helm.values_from_yaml(file.read()))
try:
    if given.command == "version":
        print(helm.helm_sdk_version())
    elif given.command == "lint":
        report = helm.lint(given.names[0], values, strict=given.strict, namespace=given.namespace)
        worst = max([message["severity"] for message in report["messages"]], default=0)
        for message in report["messages"]:
            print(f"[{message['severity']}] {message['path']}: {message['error']}")
        sys.exit(1 if report["errors"] or worst >= (2 if given.strict else 3) else 0)
    elif given.command == "template":
        name, chart = given.names
        with helm.Chart.load(chart) as loaded:
            for path, text in loaded.render(values, name=name, namespace=given.namespace).items():
                if text.strip():
                    print(f"---\n# Source: {path}\n{text}")
    else:
        with helm.Config(kubeconfig_path=os.environ["KUBECONFIG"], namespace=given.namespace) as cluster:
            if given.command == "uninstall":
                cluster.uninstall(given.names[0])
            else:
                name, chart = given.names
                more = {"create_namespace": given.create_namespace} if given.command == "install" else {}
                getattr(cluster, given.command)(chart, name, values, namespace=given.namespace, **more)
            print(f"{given.command}: {given.names[0]}")
except helm.HelmError as error:
    sys.exit(f"Error: {error}")
PYTHON
  replace_folder "$fresh" "$tools/helm"
  write_program helm <<'SCRIPT'
PYTHONPATH="$tools/helm" exec python3 "$tools/helm/helm.py" "$@"
SCRIPT
}

# ---------------------------------------------------------------- main

# recipe SET: a set is made anew when its own function, or one of those that it writes its programs with, has changed.
recipe() {
  local own writer
  own=$(declare -f "set_$1")
  {
    printf '%s\n' "$own"
    for writer in own_loader own_libraries python_with_pip; do
      [[ $own != *"$writer"* ]] || declare -f "$writer"
    done
  } | sha256sum | cut -d' ' -f1
}

# What a set brings, as paths in `.tools`.
brought_by() {
  case $1 in
  mysql) echo bin/mysqld ;;
  valkey) echo bin/valkey-server ;;
  varnish) echo bin/varnishd bin/varnishadm bin/varnishlog ;;
  nginx | wrk) echo "bin/$1" ;;
  browser) echo bin/chromium bin/chromedriver ;;
  axe) echo share/axe.min.js ;;
  schemathesis) echo bin/schemathesis ;;
  helm) echo bin/helm ;;
  esac
}

# version_of PATH: by starting the program, which proves that it can be started.
version_of() {
  local path=$tools/$1
  case $1 in
  bin/mysqld) "$path" --version 2>&1 | grep -oE 'Ver [0-9.]+' ;;
  bin/valkey-server) "$path" --version 2>&1 | grep -oE 'v=[0-9.]+' ;;
  bin/varnishadm) "$tools/bin/varnishd" -V 2>&1 ;; # it has no option to tell its own
  bin/nginx | bin/wrk) "$path" -v 2>&1 ;;
  bin/chrom* | bin/schemathesis) "$path" --version 2>/dev/null ;;
  bin/helm) "$path" version --short 2>/dev/null ;;
  share/*) head -c 200 "$path" ;;
  *) "$path" -V 2>&1 ;;
  esac | first_version
}

# complete SET: its stamp is of this recipe and all that it brings is there and starts. Fills `versions`.
declare -A versions
complete() {
  local path
  [ "$(cat "$tools/stamps/$1" 2>/dev/null)" = "$(recipe "$1")" ] || return 1
  for path in $(brought_by "$1"); do
    [ -e "$tools/$path" ] || return 1
    versions[$path]=$(version_of "$path")
    [ -n "${versions[$path]}" ] || return 1
  done
}

main() {
  local sets=("$@") name path
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
    complete "$name" && continue
    rm -f "$tools/stamps/$name"
    fail "$name was installed but does not start: see what these say: $(brought_by "$name" | sed "s,[^ ]*,$tools/&,g")"
  done
  # The package lists are large, soon out of date, and read anew when something is to be installed.
  rm -rf "$tools/apt"
  for name in "${sets[@]}"; do
    for path in $(brought_by "$name"); do
      printf '%-16s %-50s %s\n' "${path##*/}" "$tools/$path" "${versions[$path]}"
    done
  done
}

# On one line: the file may be replaced, by a checkout of another branch, while it runs.
main "$@"; exit
