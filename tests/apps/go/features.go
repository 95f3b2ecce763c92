// SPDX-License-Identifier: MIT
package main

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

func recovered() (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	var p *int
	return fmt.Sprint(*p)
}

func files() {
	dir, _ := os.MkdirTemp("", "go")
	name := filepath.Join(dir, "file")
	fmt.Println(os.WriteFile(name, make([]byte, 12345), 0644))
	info, _ := os.Stat(name)
	fmt.Println(info.Size(), info.Mode())
	entries, _ := os.ReadDir(dir)
	fmt.Println(len(entries), os.RemoveAll(dir))
	_, err := os.Open("/no/such")
	fmt.Println(err)
}

func sockets() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { buf := make([]byte, 100); n, _ := c.Read(buf); c.Write(buf[:n]); c.Close() }()
		}
	}()
	for i := 0; i < 20; i++ {
		c, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			panic(err)
		}
		fmt.Fprintf(c, "message %d", i)
		buf := make([]byte, 100)
		n, _ := c.Read(buf)
		if string(buf[:n]) != fmt.Sprintf("message %d", i) {
			panic(string(buf[:n]))
		}
		c.Close()
	}
	fmt.Println("sockets")
}

func main() {
	fmt.Println(recovered())
	files()
	sockets()
	fmt.Printf("%x\n", sha256.Sum256([]byte("stout")))
	// A loop without calls is preempted by a signal (SIGURG).
	var stop, spins int64
	go func() {
		for atomic.LoadInt64(&stop) == 0 {
			spins++
		}
	}()
	time.Sleep(50 * time.Millisecond)
	atomic.StoreInt64(&stop, 1)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	syscall.Kill(syscall.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-signals)
	select {
	case <-time.After(20 * time.Millisecond):
		fmt.Println("timer")
	}
}
