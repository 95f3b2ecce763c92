# SPDX-License-Identifier: MIT
"""ps, top, free, vmstat, pmap, pgrep, uptime and lsof inside: what they read in /proc is there, and true."""
from conftest import add, need

NAMES = "awk grep lsof pgrep pkill pmap ps sed sh sleep top uptime vmstat free".split()
SCRIPT = r"""
sleep 1000 </dev/null &
pid=$!
until grep -q '^[0-9]* (sleep) S' /proc/$pid/stat; do :; done
cat /proc/$pid/comm
ps -o ppid,stat,ni,pri,comm,args -p $pid | sed "s/ *$$ /PARENT /"
ps -eo pid,comm | grep -c "^ *$pid sleep"
ps -L -o nlwp,comm -p $pid
ps -o euser,egroup,tty,nlwp,pgid:1 -p $pid | sed s/[0-9]*$//
top -b -n 1 -p $pid | awk '/^ *PID/ {print} $1 == '$pid' {print $2, $3, $4, ($5 > 0), ($6 > 0), $8, $12}'
top -b -n 1 | sed -n '1,5p' | sed 's/ up .* load/ load/; s/[0-9][0-9.:]*/N/g; s/ //g'
pgrep -x sleep | grep -cx $pid
pmap -x $pid | awk 'NR == 2 || /total/ {print $1, $2, ($3 > 0), ($4 > 0)}'
pmap $pid | grep -c 'r-x-- sleep$'
free -b | awk 'NR == 1 {print $1, $NF} NR == 2 {print ($2 > $3), ($2 > $4), ($7 > 0)}'
vmstat 1 2 | awk 'NR == 2 {print} NR == 4 {sum = $13 + $14 + $15 + $16 + $17; print NF, (sum > 97 && sum < 103)}'
uptime | sed 's/.* user/user/; s/users/user/; s/[0-9][0-9.]*/N/g'
lsof -w -a -p $pid -d 0,cwd,txt -F ftn | sed 's,.*/sleep$,SLEEP,; /^p/d'
pkill -x -TERM -P $$ sleep
wait $pid
echo status $?
"""


def test_procps(same_as_linux):
    for name in NAMES:
        need(name)
    same_as_linux(["/bin/sh", "-c", SCRIPT], env={"PATH": "/usr/bin:/bin", "TERM": "dumb", "LC_ALL": "C.UTF-8"},
                  options=["--cpus", "2", *add(*NAMES, "cat"), "--add", "/lib/terminfo/d/dumb"])
