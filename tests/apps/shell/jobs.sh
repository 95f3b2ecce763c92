# SPDX-License-Identifier: MIT
# Job control on a terminal, by bash or dash: `script -qec 'bash jobs.sh' /dev/null` runs it.
# Lines that begin with [ are when the shell comes to tell of a changed job; the test leaves them out.
set -m
work=$(mktemp -d) && cd "$work" || exit 1
list() { jobs >list; sed 's/[+-]//; s/  */ /g; s/^/jobs: /' list | sort; }
# PID STATE NAME: waits for the state.  In a shell of its own: bash leaves its loops when a child gets SIGTSTP.
state() (
    while :; do
        now=$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) || now=gone
        [ "$now" != "$2" ] || break
        sleep 0.01
    done
    echo "$3 is $now"
)
field() { sed 's/.*) //' "/proc/$2/stat" | cut -d' ' -f"$1"; }
group() { field 3 "$1"; }

test -t 0 && test -t 1 && echo "on a terminal"
[ "$(field 5 $$)" != 0 ] && echo "it controls us"
sleep 100 & one=$!
sleep 200 & two=$!
[ "$(group $one)" = $one ] && [ "$(group $two)" = $two ] && echo "each job has a group"
kill -STOP %1; state $one T one
kill -TSTP %2; state $two T two
list
bg %1 >/dev/null; state $one S one
kill -CONT %2; state $two S two
kill %1 %2; state $one gone one; state $two gone two; wait $one; echo "one $?"; wait $two; echo "two $?"

echo "-- a job in the foreground stops itself"
sh -c 'kill -STOP $$; echo continued; exit 3'; echo "stopped $?"
list
fg >/dev/null; echo "finished $?"
echo "-- a pipeline is one group"
sleep 100 | sleep 100 | sleep 100 & last=$!
kill -STOP %%; state $last T pipeline; kill -KILL %%; state $last gone pipeline; wait $last; echo "pipeline $?"
echo "-- the terminal belongs to the job"
sh -c 'read -r stat </proc/$$/stat; set -- $stat; [ "$5" = "$8" ] && echo "foreground"'
sh -c 'read -r stat </proc/$$/stat; set -- $stat; [ "$5" != "$8" ] && echo "background"' & wait
echo "-- reading the terminal from the background"
cat & reader=$!
state $reader T reader; kill -KILL $reader; state $reader gone reader; wait $reader; echo "reader $?"
stty tostop
echo never & writer=$!
state $writer T writer; kill -KILL $writer; state $writer gone writer; wait $writer; echo "writer $?"
stty -tostop
echo "-- children tell"
n=0; trap 'n=$((n + 1))' CHLD
sleep 0.1 & sleep 0.2 & wait; wait; [ $n -ge 1 ] && echo "SIGCHLD"
trap - CHLD; wait; list >/dev/null
[ -z "${BASH_VERSION-}" ] || . "${0%.sh}_bash.sh"
cd / && rm -r "$work"
echo "-- end"
