<?php
// SPDX-License-Identifier: MIT
// proc_open, popen, pcntl and posix, streams: the output on Linux is what it must be.

echo "-- commands\n";
$process = proc_open(['/bin/sh', '-c', 'cat; echo err >&2; echo three >&3; exit 7'],
    [['pipe', 'r'], ['pipe', 'w'], ['pipe', 'w'], ['pipe', 'w']], $pipes, '/usr', ['NAME' => 'value']);
fwrite($pipes[0], 'to the child ');
fclose($pipes[0]);
echo stream_get_contents($pipes[1]), stream_get_contents($pipes[2]), stream_get_contents($pipes[3]), proc_close($process), "\n";
echo shell_exec('seq 1 20000 | wc -l'), exec('echo one; echo two', $lines, $status), count($lines), $status, "\n";
exec('exit 9', $none, $status);
echo $status, "\n";
$pipe = popen('tr a-z A-Z', 'w');
fwrite($pipe, "upper\n");
echo pclose($pipe), "\n";
$process = proc_open('exec sleep 60', [], $pipes);
$before = proc_get_status($process);
proc_terminate($process);
do {
    usleep(1000);
    $after = proc_get_status($process);
} while ($after['running']);
echo json_encode([$before['running'], $after['signaled'], $after['termsig']]), "\n";
$process = proc_open(['/bin/sh', '-c', 'test -t 1 && echo terminal'], [1 => ['pty']], $pipes);
if ($process) {
    echo trim(fgets($pipes[1])), ' ', proc_close($process), "\n";
}
$running = [];
for ($n = 0; $n < 8; $n++) {
    $running[] = [proc_open("sleep 0.0$n; echo $n", [1 => ['pipe', 'w']], $pipes), $pipes[1]];
}
$sum = 0;
while ($running) {
    $read = array_column($running, 1);
    $write = $except = null;
    stream_select($read, $write, $except, 20);
    foreach ($running as $key => [$process, $stream]) {
        if (in_array($stream, $read, true)) {
            $sum += (int) fgets($stream);
            proc_close($process);
            unset($running[$key]);
        }
    }
}
echo "sum $sum\n";

echo "-- fork\n";
pcntl_async_signals(true);
$seen = [];
foreach ([SIGUSR1, SIGALRM, SIGCHLD] as $signo) {
    pcntl_signal($signo, function (int $signo) use (&$seen) { $seen[] = $signo; });
}
$pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$pid = pcntl_fork();
if ($pid === 0) {
    fwrite($pair[1], str_repeat('x', 100000) . "\n");
    posix_kill(posix_getppid(), SIGUSR1);
    exit(5);
}
fclose($pair[1]);
echo strlen(stream_get_contents($pair[0])), ' ', pcntl_waitpid($pid, $status) === $pid ? 'waited' : 'not', ' ', pcntl_wexitstatus($status), "\n";
while (count($seen) < 2) {
    usleep(1000);
}
sort($seen);
echo implode(' ', $seen), "\n";
$seen = [];
pcntl_alarm(1);
while (!in_array(SIGALRM, $seen)) {
    sleep(5);
}
echo "alarm\n";
$children = [];
for ($n = 1; $n <= 30; $n++) {
    if (($pid = pcntl_fork()) === 0) {
        posix_kill(posix_getpid(), $n % 2 ? SIGKILL : 0);
        exit($n);
    }
    $children[$pid] = $n;
}
$killed = $exited = 0;
while (($pid = pcntl_wait($status)) > 0) {
    if (pcntl_wifsignaled($status)) {
        $killed += pcntl_wtermsig($status);
    } elseif (pcntl_wexitstatus($status) === $children[$pid]) {
        $exited += $children[$pid];
    }
}
echo "$killed $exited ", pcntl_get_last_error() === 10 ? 'no child' : 'error', "\n";
if (($pid = pcntl_fork()) === 0) {
    pcntl_exec('/bin/sh', ['-c', 'exit $CODE'], ['CODE' => '11']);
}
pcntl_waitpid($pid, $status);
echo pcntl_wexitstatus($status), ' ', json_encode(posix_getpgid(getmypid()) > 0), ' ', posix_getpwuid(0)['name'], "\n";
pcntl_sigprocmask(SIG_BLOCK, [SIGUSR2]);
posix_kill(posix_getpid(), SIGUSR2);
echo pcntl_sigwaitinfo([SIGUSR2], $info), ' ', $info['pid'] === posix_getpid() ? 'by itself' : 'by another', "\n";

echo "-- files\n";
$file = tempnam('/tmp', 'php');
file_put_contents($file, str_repeat("line\n", 1000), LOCK_EX);
$handle = fopen($file, 'r');
flock($handle, LOCK_EX);
if (($pid = pcntl_fork()) === 0) {
    exit(flock(fopen($file, 'r'), LOCK_EX | LOCK_NB) ? 1 : 2);
}
pcntl_waitpid($pid, $status);
echo count(file($file)), ' ', pcntl_wexitstatus($status), ' ', unlink($file) ? 'gone' : 'there', "\n";
$server = stream_socket_server('tcp://127.0.0.1:0');
if (($pid = pcntl_fork()) === 0) {
    $client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
    fwrite($client, "hello\n");
    echo fgets($client);
    exit(0);
}
$peer = stream_socket_accept($server, 20);
fwrite($peer, strtoupper(fgets($peer)));
pcntl_waitpid($pid, $status);
echo "-- end\n";
