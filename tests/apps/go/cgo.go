// SPDX-License-Identifier: MIT
package main

/*
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
static int length(const char *s) { return (int)strlen(s); }
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

func main() {
	var wait sync.WaitGroup
	total := make([]int, 20)
	for i := range total {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			text := C.CString(fmt.Sprintf("%0*d", i+1, 0))
			defer C.free(unsafe.Pointer(text))
			total[i] = int(C.length(text))
		}(i)
	}
	wait.Wait()
	fmt.Println(total)
}
