// The smallest Go program: its runtime starts threads before main does.
package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Println("hello", os.Args[1:], runtime.GOOS, runtime.GOARCH)
	fmt.Fprintln(os.Stderr, "to standard error")
	os.Exit(3)
}
