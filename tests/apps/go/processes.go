// SPDX-License-Identifier: MIT
// os/exec, signals and the attributes of new processes: what it prints on Linux is what it must be.
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func commands() {
	out, err := exec.Command("/bin/sh", "-c", "cat; echo err >&2; exit 3").CombinedOutput()
	fmt.Printf("%q %v\n", out, err)
	command := exec.Command("/usr/bin/tr", "a-z", "A-Z")
	command.Stdin = strings.NewReader(strings.Repeat("text ", 50000))
	out, err = command.Output()
	fmt.Println(len(out), string(out[:5]), err)
	_, err = exec.Command("/no/such").Output()
	fmt.Println(err)
	_, err = exec.LookPath("no-such-program")
	fmt.Println(err)
	first, second := exec.Command("/usr/bin/seq", "20000"), exec.Command("/usr/bin/wc", "-l")
	pipe, err := first.StdoutPipe()
	check(err)
	second.Stdin = pipe
	var count bytes.Buffer
	second.Stdout = &count
	check(second.Start())
	check(first.Run())
	check(second.Wait())
	fmt.Println(strings.TrimSpace(count.String()))
	reader, writer, err := os.Pipe()
	check(err)
	extra := exec.Command("/bin/sh", "-c", "echo through three >&3; pwd; echo $NAME")
	extra.ExtraFiles = []*os.File{writer}
	extra.Dir, extra.Env = "/usr", []string{"NAME=value"}
	out, err = extra.Output()
	writer.Close()
	three, _ := io.ReadAll(reader)
	fmt.Printf("%q %q %v\n", out, three, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	fmt.Println(exec.CommandContext(ctx, "/bin/sleep", "60").Run(), ctx.Err())
}

// Many goroutines that fork and exec while others allocate and compute.
func many() {
	var wait sync.WaitGroup
	var total, stop int64
	for n := 0; n < 4; n++ {
		go func() {
			for atomic.LoadInt64(&stop) == 0 {
				_ = make([]byte, 10000)
			}
		}()
	}
	for n := 0; n < 16; n++ {
		wait.Add(1)
		go func(n int) {
			defer wait.Done()
			for round := 0; round < 6; round++ {
				out, err := exec.Command("/bin/echo", fmt.Sprint(n)).Output()
				check(err)
				var value int64
				fmt.Sscan(string(out), &value)
				atomic.AddInt64(&total, value)
			}
		}(n)
	}
	wait.Wait()
	atomic.StoreInt64(&stop, 1)
	fmt.Println("many", total)
}

// Loops without a call can only be interrupted by a signal (SIGURG).
func preemption() {
	runtime.GOMAXPROCS(2)
	var stop int32
	for n := 0; n < 4; n++ {
		go func() {
			x := uint32(1)
			for atomic.LoadInt32(&stop) == 0 {
				for i := 0; i < 10000000; i++ {
					x = x*1664525 + 1013904223
				}
			}
			atomic.AddInt32(&stop, int32(x&0))
		}()
	}
	var wait sync.WaitGroup
	for n := 0; n < 8; n++ {
		wait.Add(1)
		go func(n int) {
			defer wait.Done()
			time.Sleep(time.Millisecond)
			data := make([]float64, 1000)
			for i := range data {
				data[i] = float64(i) * 1.5
			}
			runtime.GC()
			for i := range data {
				if data[i] != float64(i)*1.5 {
					panic("a register was lost")
				}
			}
		}(n)
	}
	wait.Wait()
	atomic.StoreInt32(&stop, 1)
	fmt.Println("preempted")
}

func signals() {
	caught := make(chan os.Signal, 100)
	signal.Notify(caught, syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGCHLD, syscall.SIGWINCH, syscall.Signal(40))
	for _, signo := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGWINCH, 40} {
		check(syscall.Kill(os.Getpid(), signo))
		fmt.Println(<-caught)
	}
	check(exec.Command("/bin/true").Run())
	fmt.Println(<-caught)
	signal.Reset(syscall.SIGUSR1)
	signal.Ignore(syscall.SIGHUP)
	check(syscall.Kill(os.Getpid(), syscall.SIGHUP))
	fmt.Println("ignored", signal.Ignored(syscall.SIGHUP))
	signal.Stop(caught)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGUSR2)
	check(syscall.Kill(os.Getpid(), syscall.SIGUSR2))
	<-ctx.Done()
	stop()
	fmt.Println(ctx.Err())
}

func start(attributes *syscall.SysProcAttr, script string) (*exec.Cmd, string) {
	command := exec.Command("/bin/sh", "-c", script)
	command.SysProcAttr = attributes
	pipe, err := command.StdoutPipe()
	check(err)
	if err = command.Start(); err != nil {
		return nil, err.Error()
	}
	line, _ := bufio.NewReader(pipe).ReadString('\n')
	return command, strings.TrimSpace(line)
}

const identity = `read -r stat </proc/$$/stat; set -- $stat
[ $$ = $5 ] && group=leader; [ $$ = $6 ] && session=leader
echo "${group-} ${session-} $(id -u) $(id -g) $(id -G | tr ' ' '\n' | grep -c 55)"`

func attributes() {
	for _, a := range []syscall.SysProcAttr{
		{},
		{Setpgid: true},
		{Setsid: true},
		{Credential: &syscall.Credential{Uid: 33, Gid: 44, Groups: []uint32{44, 55}}},
		{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}},
		{Chroot: "/no/such"},
		{Setctty: true, Setsid: true, Ctty: 0},
		{AmbientCaps: []uintptr{10}},
	} {
		a := a
		command, line := start(&a, identity)
		fmt.Println(line)
		if command != nil {
			fmt.Println(command.Wait())
		}
	}
	leader, _ := start(&syscall.SysProcAttr{Setpgid: true}, "sleep 60 & sleep 60 & echo up; wait")
	check(syscall.Kill(-leader.Process.Pid, syscall.SIGTERM))
	fmt.Println(leader.Wait(), leader.ProcessState.Sys().(syscall.WaitStatus).Signal())
	// The signal for the parent's end: the parent is the thread that forked.
	middle, line := start(&syscall.SysProcAttr{}, "exec "+os.Args[0]+" middle")
	var pid int
	fmt.Sscan(line, &pid)
	fmt.Println(middle.Wait(), pid > 0)
	for n := 0; n < 500 && syscall.Kill(pid, 0) == nil; n++ {
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)); err != nil || strings.Contains(string(status), "Z (zombie)") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	fmt.Println("gone", len(status) == 0 || strings.Contains(string(status), "Z (zombie)"))
	child, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "exit 9"},
		&syscall.ProcAttr{Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setpgid: true}})
	check(err)
	var wait syscall.WaitStatus
	var usage syscall.Rusage
	got, err := syscall.Wait4(child, &wait, 0, &usage)
	fmt.Println(got == child, err, wait.ExitStatus(), usage.Maxrss > 0)
	process, err := os.StartProcess("/bin/sh", []string{"sh", "-c", "kill -STOP $$; exit 2"}, &os.ProcAttr{})
	check(err)
	_, err = syscall.Wait4(process.Pid, &wait, syscall.WUNTRACED, nil)
	fmt.Println(err, wait.Stopped(), wait.StopSignal())
	check(process.Signal(syscall.SIGCONT))
	state, err := process.Wait()
	fmt.Println(state, err, process.Signal(syscall.SIGTERM))
}

func middle() {
	runtime.LockOSThread()
	child := exec.Command("/bin/sleep", "60")
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	check(child.Start())
	fmt.Println(child.Process.Pid)
}

func main() {
	if len(os.Args) > 1 {
		middle()
		return
	}
	for _, part := range []func(){commands, many, preemption, signals, attributes} {
		part()
		fmt.Println("--")
	}
}
