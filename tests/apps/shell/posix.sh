# SPDX-License-Identifier: MIT
# What shell scripts do, for any POSIX shell (dash, bash and busybox run it): the output on Linux is what it must be.
set -u
work=$(mktemp -d)
cd "$work" || exit 1
say() { printf '%s\n' "== $*"; }

say expansion
name=value; unset none
echo "${name%ue} ${none:-default} ${#name} $((7 * (3 + 4) % 10)) ${name#v}"
set -- a 'b c' d
for word in "$@"; do printf '<%s>' "$word"; done; echo " $# $*"
shift 2; echo "$1"
case file.tar.gz in *.tar.*) echo archive ;; *) echo other ;; esac
IFS=: read -r user rest <<LINE
root:x:0:0
LINE
echo "$user $rest"
i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); done; echo "$i"

say pipes
seq 1 5000 | awk '{ s += $1 } END { print s }'
yes | head -n 1000 | wc -l
printf '%s\n' b a c a | sort | uniq -c | sed 's/^ *//'
echo one two three | tr ' ' '\n' | while read -r word; do echo "[$word]"; done
{ echo out; echo err >&2; } 2>&1 >both.out | sed 's/^/2: /'; cat both.out
seq 100000 | cat | cat | cat | tail -n 1
head -c 3000000 /dev/zero | tr '\0' 'x' | md5sum
false | true; echo "status $?"
! false; echo "not $?"

say here-documents
cat <<END | tr a-z A-Z
name is $name, $(echo nested), $((1 + 1))
END
cat <<'END'
name is $name
END
cat <<-END
	tabs go
	END
awk 'BEGIN { for (i = 0; i < 9000; i++) print "line", i }' >long
(echo 'cat <<END'; cat long; echo END) >here.sh
. ./here.sh | cksum; cksum <long

say subshells
(cd /; name=inside; pwd; echo "$name"; exit 3); echo "$? $name $(pwd | sed "s,$work,WORK,")"
value=$(exit 7); echo "substitution $?"
deep=$(echo $(echo $(echo $(echo deep)))); echo "$deep"
n=0; while [ $n -lt 60 ]; do n=$((n + 1)); x=$(echo $n); done; echo "$x"

say descriptors
exec 3>three 4<long; echo to three >&3; read -r line <&4; exec 3>&- 4<&-; cat three; echo "$line"
echo again >>three; wc -l <three
mkfifo fifo; (echo through the fifo >fifo) & cat fifo; wait $!; echo "fifo $?"
( exec >&-; echo nowhere ) 2>/dev/null || echo "closed stdout fails"
ls /nonexistent 2>/dev/null || echo 'ls fails'
: >empty; [ -s empty ] || echo empty; [ -p fifo ] && [ -d . ] && [ ! -e missing ] && echo kinds

say traps
( trap 'echo exit trap' EXIT; echo body )
( trap 'echo got TERM; exit 9' TERM; kill -TERM "$(sh -c 'echo $PPID')"; echo not reached ); echo "$?"
( trap '' INT; kill -INT "$(sh -c 'echo $PPID')"; echo ignored )
sh -c 'kill -KILL $$' 2>/dev/null; echo "killed $?"
sh -c 'kill -TERM $$' 2>/dev/null; echo "terminated $?"
( trap 'echo usr1' USR1; self=$(sh -c 'echo $PPID'); (sleep 0.2; kill -USR1 "$self") & wait $!; wait; echo after )
sh -c 'trap "echo cleanup" EXIT; exit 4'; echo "$?"
sh -c 'ulimit -n 20; ulimit -n; exec 9</dev/null && echo nine'

say background
sleep 0.3 & one=$!; (exit 5) & two=$!; wait $two; echo "$?"; wait $one; echo "$?"
wait 999999 2>/dev/null; echo "not a child $?"
for n in 1 2 3 4 5 6 7 8; do (sleep 0.0$n; echo $n >"bg$n"; exit $n) & done; wait; cat bg?
sleep 60 & kill $!; wait $! 2>/dev/null; echo "$?"
(sleep 60 & echo $! >orphan; exit 0); kill "$(cat orphan)" && echo "orphan killed"
n=0; while [ $n -lt 100 ]; do n=$((n + 1)); : & done; wait; echo "100 in the background"

say files
mkdir -p tree/a/b tree/c; for n in 1 2 3 4 5 6 7 8 9; do echo "file $n" >"tree/a/f$n.txt"; done
cp tree/a/f1.txt 'tree/c/with space'; ln -s 'with space' tree/c/link; ln tree/a/f3.txt tree/c/hard
find tree -type f | sort; find tree -type l -exec readlink {} \;
find tree -name '*.txt' -print0 | sort -z | xargs -0 -n 4 cat
find tree -name '*.txt' | sort | xargs -I{} -n 1 basename {} .txt | tr '\n' ' '; echo
seq 1 20 | xargs -P 4 -n 5 sh -c 'echo $#' sh | sort
grep -rl 'file [37]' tree | sort; grep -c . long; grep -E -n 'line (77|7777)$' long
sed -n -e '/line 10$/,/line 12$/p' -e 's/line \(8999\)/last \1/p' long
awk '$2 % 1000 == 0 { a[$2] = $1; n++ } END { print n, length(a) }' long
sort -rn -k2 long | head -n 2; awk '{ print ($2 * 7919) % 9000, $0 }' long | sort -n | sort -n -k3 | cut -d" " -f2- | cmp - long && echo "sorted back"
cut -d' ' -f2 long | paste - - - | head -n 2; tail -c 20 long; od -An -tx1 -N 4 long
ls -l tree/c | awk 'NR > 1 { print $1, $2 }'; stat -c '%s %h %F' tree/c/hard; stat -c %F tree/a
chmod 640 tree/a/f1.txt; stat -c %a tree/a/f1.txt; (umask 077; : >private; stat -c %a private)
TZ=UTC touch -d '2020-02-03 04:05:06' dated; date -u -r dated '+%F %T'; test dated -ot long && echo older
du -a tree | wc -l; rm -r tree/a/b; rmdir tree/a/b 2>/dev/null; echo "rmdir $?"
mv tree/c moved; ls moved; cp -a moved copied; diff -r moved copied && echo same
echo changed >>copied/hard; diff -r moved copied | grep -c changed; sort three >sorted; sort three both.out | comm -12 - sorted | wc -l

say archives
tar cf tree.tar tree moved
tar tf tree.tar | wc -l; gzip -k tree.tar; gzip -t tree.tar.gz && echo tested
mkdir out; tar xzf tree.tar.gz -C out; diff -r moved out/moved && echo unpacked
md5sum tree/a/f1.txt out/tree/a/f1.txt | cut -d' ' -f1 | uniq | wc -l
tar cf - tree | (cd out && tar xf - && echo piped); zcat tree.tar.gz | cmp - tree.tar && echo identical
gzip -c long | gunzip -c | cmp - long && echo gzip

say done
cd / && rm -rf "$work" && echo removed
