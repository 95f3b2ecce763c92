# SPDX-License-Identifier: MIT
# fork, pipes, signals, IPC::Open3, sockets: the output on Linux is what it must be.
use strict;
use warnings;
use Errno qw(EINTR ECHILD);
use Fcntl qw(:flock F_GETFD F_SETFD FD_CLOEXEC);
use File::Temp qw(tempdir);
use IO::Select;
use IO::Socket::UNIX;
use IPC::Open2;
use IPC::Open3;
use POSIX qw(:sys_wait_h :signal_h setsid dup2);
use Socket;
use Symbol qw(gensym);
use Time::HiRes qw(sleep ualarm time);

$| = 1;
my $dir = tempdir(CLEANUP => 1);

print "-- fork\n";
pipe(my $read, my $write) or die;
my $pid = fork // die;
if (!$pid) { close $read; print $write "from $_\n" for 1 .. 3; close $write; POSIX::_exit(7) }
close $write;
print <$read>;
waitpid($pid, 0);
print "status ", $? >> 8, "\n";
my %sum;
for my $n (1 .. 40) { my $p = fork // die; POSIX::_exit($n) if !$p; $sum{$p} = $n }
my $total = 0;
while ((my $p = wait) > 0) { $total += ($? >> 8) == $sum{$p} ? $sum{$p} : 1000 }
print "children $total ", $! == ECHILD ? "none left" : "$!", "\n";

print "-- commands\n";
print `echo backtick; (exit 3)`, $? >> 8, "\n";
print system("sh -c 'exit 4'") >> 8, " ", system("(exit 8)") >> 8, " ", system("kill -9 \$\$") & 127, "\n";
open(my $out, '|-', 'tr a-z A-Z') or die; print $out "to a pipe\n"; close $out;
open(my $in, '-|', '/bin/sh', '-c', 'seq 20000') or die; my $lines = 0; $lines++ while <$in>;
print "$lines ", close $in ? "closed" : "failed", "\n";
if (!open(my $none, '-|', '/no/such', 'x')) { print "none: $!\n" }
my $kid = open(my $self, '-|') // die;
if (!$kid) { print "the forked self\n"; exit 5 }
print <$self>; close $self; print $? >> 8, "\n";
$pid = open3(my $to, my $from, my $err = gensym, '/bin/sh', '-c', 'cat; echo to stderr >&2; exit 6');
print $to "through open3\n"; close $to;
print <$from>, <$err>; waitpid($pid, 0); print $? >> 8, "\n";
$pid = open2(my $sorted, my $words, 'sort'); print $words "b\nc\na\n"; close $words; print <$sorted>; waitpid($pid, 0);
my $select = IO::Select->new;
my @parts = map { open(my $h, '-|', "sleep 0.0$_; echo part $_") or die; $select->add($h); $h } 1 .. 5;
my @got;
while ($select->count) { for my $h ($select->can_read) { my $l = <$h>; defined $l ? push @got, $l : do { $select->remove($h); close $h } } }
print sort @got;

print "-- signals\n";
my @seen;
$SIG{USR1} = sub { push @seen, $_[0] }; $SIG{TERM} = sub { push @seen, $_[0] };
kill USR1 => $$; kill TERM => $$;
print "@seen\n";
eval { local $SIG{ALRM} = sub { die "alarm\n" }; ualarm(20000); sleep 20; }; print "died: $@";
my $set = POSIX::SigSet->new(SIGUSR1); sigprocmask(SIG_BLOCK, $set); kill USR1 => $$;
my $pending = POSIX::SigSet->new; sigpending($pending); print "pending ", $pending->ismember(SIGUSR1), " ", scalar @seen;
sigprocmask(SIG_UNBLOCK, $set); print " ", scalar @seen, "\n";
my $reaped = 0;
{ local $SIG{CHLD} = sub { $reaped++ while waitpid(-1, WNOHANG) > 0 };
  for (1 .. 20) { my $p = fork // die; POSIX::_exit(0) if !$p }
  my $end = time + 20; sleep 0.01 while $reaped < 20 && time < $end; }
print "reaped $reaped\n";
{ local $SIG{CHLD} = 'IGNORE'; my $p = fork // die; POSIX::_exit(1) if !$p; print waitpid($p, 0), " nothing to wait for\n"; }
$SIG{CHLD} = $SIG{TERM} = 'DEFAULT';
$pid = fork // die; if (!$pid) { sleep 60; POSIX::_exit(0) }
kill STOP => $pid; waitpid($pid, WUNTRACED); print "stopped ", WIFSTOPPED(${^CHILD_ERROR_NATIVE}), "\n";
kill CONT => $pid; kill TERM => $pid; waitpid($pid, 0); print "ended by ", $? & 127, "\n";
$pid = fork // die; if (!$pid) { setsid; my $p = fork // die; sleep 60 if !$p; sleep 60; exit }
sleep 0.05 until getpgrp($pid) == $pid; kill -15 => $pid; waitpid($pid, 0); print "group ", $? & 127, "\n";

print "-- locks and sockets\n";
open(my $lock, '>', "$dir/lock") or die; flock($lock, LOCK_EX) or die;
$pid = fork // die;
if (!$pid) { open(my $mine, '>', "$dir/lock") or die; POSIX::_exit(flock($mine, LOCK_EX | LOCK_NB) ? 1 : 2) }
waitpid($pid, 0); print "locked ", $? >> 8, "\n"; flock($lock, LOCK_UN);
my $server = IO::Socket::UNIX->new(Local => "$dir/socket", Listen => 5) or die;
$pid = fork // die;
if (!$pid) { my $c = IO::Socket::UNIX->new(Peer => "$dir/socket") or die; print $c "hello\n"; print "answer: ", scalar <$c>; POSIX::_exit(0) }
my $peer = $server->accept; my $line = <$peer>; print $peer uc $line; close $peer; waitpid($pid, 0);
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die;
$pid = fork // die; if (!$pid) { close $a; syswrite $b, "x" x 100000; POSIX::_exit(0) }
close $b; my $bytes = 0; while (my $n = sysread $a, my $buf, 8192) { $bytes += $n } waitpid($pid, 0); print "bytes $bytes\n";
print "-- end\n";
