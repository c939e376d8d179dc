# SPDX-License-Identifier: Apache-2.0
# Sourced by the other scripts, first of all: --help prints the text at the head of the script.
case ${1:-} in
-h | --help)
    sed -n '3,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
    exit 0
    ;;
esac
