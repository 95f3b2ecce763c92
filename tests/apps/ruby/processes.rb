# SPDX-License-Identifier: MIT
# fork, spawn, pipes, threads, signals: the output on Linux is what it must be.
require 'etc'
require 'io/console'
require 'open3'
require 'pty'
require 'socket'
require 'tempfile'
require 'timeout'

$stdout.sync = true

puts '-- fork'
reader, writer = IO.pipe
pid = fork { reader.close; writer.puts 'from the child'; exit! 7 }
writer.close
puts reader.read, Process.wait2(pid)[1].exitstatus
pids = (1..40).map { |n| fork { exit! n } }
puts pids.sum { |p| Process.wait2(p)[1].exitstatus }
at_exit { puts 'at exit' if $main }
$main = false
Process.wait(fork { raise 'in a child' rescue exit 3 })
puts $?.exitstatus
$main = true

puts '-- commands'
puts `echo backtick; exit 3`, $?.exitstatus, system('exit 4').inspect, system('/no/such').inspect
out, err, status = Open3.capture3('tr a-z A-Z; echo err >&2; exit 5', stdin_data: 'text ' * 50000)
puts out.size, out[0, 9], err, status.exitstatus
puts Open3.pipeline_r('seq 20000', 'wc -l') { |o, _| o.read.strip }
IO.popen(['/bin/cat'], 'r+') { |io| io.puts 'through cat'; io.close_write; puts io.read }
IO.popen('-') { |io| io ? puts("parent got #{io.read}") : print('a forked self') }
Tempfile.create('ruby') do |file|
  pid = spawn({ 'NAME' => 'value' }, '/bin/sh', '-c', 'echo $NAME; pwd; umask; ulimit -n; read -r x <&9; echo $x >&2',
              out: file.path, err: [:child, :out], 9 => reader2 = IO.pipe.then { |r, w| w.puts 'nine'; w.close; r },
              chdir: '/usr', umask: 0o27, rlimit_nofile: 77, pgroup: true, unsetenv_others: false)
  Process.wait pid
  puts File.read(file.path).split.join(' ')
end
begin
  spawn('/no/such', 'x')
rescue SystemCallError => e
  puts e.class
end
watcher = Process.detach(spawn('exit 9'))
puts watcher.value.exitstatus

puts '-- signals'
seen = []
trap('USR1') { seen << :usr1 }
trap('TERM') { seen << :term }
Process.kill('USR1', $$)
sleep 0.001 until seen.size == 1
Process.kill('TERM', $$)
sleep 0.001 until seen.size == 2
p seen
%w[KILL TERM ABRT].each do |name|
  child = spawn('exec sleep 60')
  Process.kill(name, child)
  puts Process.wait2(child)[1].termsig
end
child = spawn('exec sleep 60')
Process.kill('STOP', child)
puts Process.wait2(child, Process::WUNTRACED)[1].stopsig
Process.kill('CONT', child)
Process.kill('KILL', child)
Process.wait(child)
begin
  Timeout.timeout(0.05) { sleep 20 }
rescue Timeout::Error => e
  puts e.message
end
reaped = 0
trap('CHLD') { reaped += 1 while Process.wait(-1, Process::WNOHANG) rescue nil }
20.times { fork { exit! } }
Timeout.timeout(20) { sleep 0.01 until reaped == 20 }
puts "reaped #{reaped}"
trap('CHLD', 'DEFAULT')

puts '-- threads'
queue = SizedQueue.new(10)
producers = 4.times.map { |n| Thread.new { 500.times { |i| queue << n * 1000 + i } } }
consumer = Thread.new { 2000.times.sum { queue.pop } }
producers.each(&:join)
puts consumer.value
lock, total = Mutex.new, 0
8.times.map { Thread.new { 1000.times { lock.synchronize { total += 1 } } } }.each(&:join)
puts total
puts 10.times.map { |n| Thread.new { `echo #{n}`.to_i } }.sum(&:value)
pid = fork { puts Thread.list.size; exit! 0 }
Process.wait(pid)
server = TCPServer.new('127.0.0.1', 0)
Thread.new { loop { Thread.new(server.accept) { |s| s.write(s.gets.upcase); s.close } } }
puts 20.times.map { |n| Thread.new { s = TCPSocket.new('127.0.0.1', server.addr[1]); s.puts "hello #{n}"; s.read.split[1].to_i } }.sum(&:value)

puts '-- terminal'
# Linux may lose what was written just before the last close.
PTY.spawn('stty -echo; test -t 0 && echo terminal; read -r line; echo "<$line>"; read -r line') do |output, input, child|
  puts output.gets.strip
  input.puts 'typed'
  puts output.gets.strip
  input.puts 'end'
  puts Process.wait2(child)[1].exitstatus
end
a, b = UNIXSocket.pair
pid = fork { a.close; b.send_io(File.open('/etc/passwd')); exit! }
puts a.recv_io.gets.start_with?('root:')
Process.wait(pid)
GC.stress = true
20.times { +'x' * 100 }
GC.stress = false
GC.start
GC.compact
puts '-- end'
