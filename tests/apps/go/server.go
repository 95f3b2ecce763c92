// SPDX-License-Identifier: MIT
// A net/http server, and what its runtime leans on: goroutines, timers, garbage collection.
package main

import (
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"
)

func work() string {
	var wait sync.WaitGroup
	sums := make(chan int, 100)
	for g := 0; g < 100; g++ {
		wait.Add(1)
		go func(g int) {
			defer wait.Done()
			kept := [][]byte{}
			for i := 0; i < 50; i++ {
				kept = append(kept, make([]byte, 10000))
				if i%10 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			sums <- len(kept) + g
		}(g)
	}
	wait.Wait()
	close(sums)
	total := 0
	for s := range sums {
		total += s
	}
	runtime.GC()
	return fmt.Sprintf("total %d", total)
}

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "Hello from Go\n") })
	http.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, work()) })
	fmt.Println("ready")
	if err := http.ListenAndServe(":8080", nil); err != nil {
		panic(err)
	}
}
