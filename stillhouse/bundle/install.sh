#!/bin/sh
# Sets Stillhouse up from this folder, on a machine that needs no network:
#
#   ./install.sh PREFIX [--demo] [--key FILE]
#
# Everything goes below PREFIX, which may hold an earlier installation: that one serves until this
# one is whole. --demo runs the sample project then. --key names the public key of who made the
# bundle, if it came by another way. PYTHON names the interpreter.
set -eu
umask 022

fail() {
    printf 'Error: %s\n' "$1" >&2
    shift
    for remedy in "$@"; do printf '  %s\n' "$remedy" >&2; done
    exit 1
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
prefix='' demo='' key=''
while [ $# -gt 0 ]; do
    case $1 in
        --demo) demo=yes ;;
        --key) [ $# -gt 1 ] || fail '--key names no file'; key=$2; shift ;;
        -*) fail "unknown option $1" 'usage: ./install.sh PREFIX [--demo] [--key FILE]' ;;
        *) [ -z "$prefix" ] || fail "more than one PREFIX: $prefix, $1"; prefix=$1 ;;
    esac
    shift
done
[ -n "$prefix" ] || fail 'no PREFIX' 'usage: ./install.sh PREFIX [--demo] [--key FILE]'
[ -z "$key" ] || [ -r "$key" ] || fail "--key $key: it can't be read" 'name a file with a public key.'
[ -z "$demo" ] || [ -d "$here/example" ] || fail '--demo: there is no sample in this bundle'
mkdir -p -- "$prefix" || fail "$prefix can't be made" 'name a folder that you may write to.'
prefix=$(CDPATH='' cd -- "$prefix" && pwd)
case $prefix in
    *[\"\$\`\\}]*) fail "$prefix: a path with quotes, braces or dollar signs can't be used" ;;
esac

# 1. The machine.
needed() { sed -n "s/^$1=\([A-Za-z0-9_.]*\)\$/\1/p" "$here/PLATFORM"; }
wanted=$(needed python)
python=${PYTHON:-python$wanted}
command -v "$python" >/dev/null 2>&1 || fail "$python is not on this machine" \
    "this bundle needs Python $wanted with its module venv; PYTHON=/path/to/it names one."
facts=$("$python" -I -c 'import platform, sys
libc, number = platform.libc_ver()
print("%d.%d" % sys.version_info[:2], "%d.%d.%d" % sys.version_info[:3])
print(platform.system(), platform.machine(), libc or "none", number or "0")') || fail "$python doesn't run"
# shellcheck disable=SC2086
set -- $facts
[ "$1" = "$wanted" ] || fail "$python is Python $1, and this bundle is for Python $wanted" \
    "name that one: PYTHON=/path/to/python$wanted; or have the bundle made with Python $1."
"$python" -I -c 'import sys
have, need = (tuple(map(int, v.split("."))) for v in sys.argv[1:])
sys.exit(have < need)' "$2" "$(needed least)" || fail \
    "$python is Python $2, and this bundle needs $(needed least) or a later $wanted" \
    "name that one: PYTHON=/path/to/python$wanted."
[ "$3 $4" = "$(needed system) $(needed machine)" ] || fail \
    "this machine is $3 $4, and this bundle is for $(needed system) $(needed machine)" \
    "have the bundle made on a machine of this kind."
"$python" -I -c 'import sys
have, need = (tuple(map(int, v.split(".")[:2])) for v in sys.argv[1:])
sys.exit(have < need)' "$6" "$(needed glibc)" || fail \
    "this machine has $5 $6, and this bundle needs glibc $(needed glibc) or newer" \
    "install on a newer system."
"$python" -I -c 'import ensurepip, venv' 2>/dev/null || fail "$python has no module venv" \
    "install the package of your system that brings it (python$wanted-venv)."
free=$(df -Pk -- "$prefix" | awk 'NR == 2 { print $4 }')
[ "$free" -gt "$(($(needed bytes) / 1024))" ] || fail \
    "$prefix: $((free / 1048576)) GiB are free, and $(($(needed bytes) / 1073741824 + 1)) are needed" \
    'name a PREFIX on a larger disk.'

# 2. Every file, before anything of it runs.
echo 'Checking files'
(cd -- "$here" && sha256sum --check --strict --quiet SHA256SUMS) || fail \
    'a file is not as it was written: this bundle was edited or damaged, and is not used' \
    'take another copy of it.'

# 3. The environment, in a folder of its own for each bundle.
before=yes
environment=$prefix/env-$(sha256sum <"$here/manifest.json" | cut -c 1-12)
if [ ! -e "$environment/.whole" ]; then
    before=''
    rm -rf -- "$environment"
    echo "Installing into $environment"
    "$python" -I -m venv "$environment"
    PIP_CONFIG_FILE=/dev/null "$environment/bin/python" -I -m pip install --isolated --quiet \
        --disable-pip-version-check --no-cache-dir --no-index --no-deps --require-hashes \
        --find-links "$here/wheels" --requirement "$here/requirements.txt" ||
        fail 'pip could not install the wheels' 'its own words stand above.'
fi

# 4. The signature, and every file once more against what is signed.
fingerprint=$("$environment/bin/python" -I -m stillhouse.bundle.check "$here" ${key:+"$key"}) || {
    # One that was whole before may be what serves now.
    [ -n "$before" ] || rm -rf -- "$environment"
    exit 1
}
if [ -n "$key" ]; then
    echo "Signed by the key in $key"
else
    echo "Signed by the key $fingerprint"
    echo '  (compare it with its maker: `stillhouse releases key --fingerprint`)'
fi
: >"$environment/.whole"

# 5. Models, licences, and the command, which changes last.
for part in models licences; do
    [ ! -d "$here/$part" ] || { mkdir -p -- "$prefix/$part"; cp -R -- "$here/$part/." "$prefix/$part"; }
done
cp -- "$here/bom.cdx.json" "$here/manifest.json" "$prefix"
mkdir -p -- "$prefix/bin"
cat >"$prefix/bin/.stillhouse.new" <<END
#!/bin/sh
# Written by install.sh: Stillhouse with the models that came with it.
: "\${STILLHOUSE_CACHE:=$prefix/models/cache}" "\${HF_HOME:=$prefix/models/huggingface}"
export STILLHOUSE_CACHE HF_HOME
exec "$environment/bin/stillhouse" "\$@"
END
chmod 755 "$prefix/bin/.stillhouse.new"
mv -f -- "$prefix/bin/.stillhouse.new" "$prefix/bin/stillhouse"
"$prefix/bin/stillhouse" --version
echo "Installed: $prefix/bin/stillhouse"
for old in "$prefix"/env-*; do
    [ "$old" = "$environment" ] || echo "Of an earlier bundle, yours to remove: $old"
done
for model in "$prefix"/models/teachers/* "$prefix"/models/others/*; do
    [ ! -e "$model" ] || echo "For project files: $model"
done

# 6. The sample.
if [ -n "$demo" ]; then
    if [ ! -d "$prefix/demo" ]; then
        rm -rf -- "$prefix/.demo.new"
        cp -R -- "$here/example" "$prefix/.demo.new"
        mv -- "$prefix/.demo.new" "$prefix/demo"
    fi
    exec "$prefix/bin/stillhouse" run --project "$prefix/demo"
fi
