// Goroutines by the thousand: channels, mutexes, select, timers, garbage collection, blocking calls, and pre-emption of loops
// that never call anything.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Every number goes through a chain of goroutines, each of which adds one.
func chain(length int) int {
	first := make(chan int)
	in := first
	for i := 0; i < length; i++ {
		out := make(chan int)
		go func(in, out chan int) { out <- <-in + 1 }(in, out)
		in = out
	}
	first <- 0
	return <-in
}

func counters(goroutines, rounds int) (int, int64) {
	var mutex sync.Mutex
	var group sync.WaitGroup
	var atomically int64
	locked := 0
	for i := 0; i < goroutines; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := 0; j < rounds; j++ {
				atomic.AddInt64(&atomically, 1)
				mutex.Lock()
				locked++
				mutex.Unlock()
			}
		}()
	}
	group.Wait()
	return locked, atomically
}

type node struct{ left, right *node }

func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{tree(depth - 1), tree(depth - 1)}
}

func (n *node) count() int {
	if n.left == nil {
		return 1
	}
	return 1 + n.left.count() + n.right.count()
}

// Garbage made on all CPUs while some of it is kept.
func garbage() int {
	results := make(chan int)
	for i := 0; i < 8; i++ {
		go func() {
			kept, total := tree(10), 0
			for j := 0; j < 20; j++ {
				total += tree(9).count()
			}
			results <- total + kept.count()
		}()
	}
	sum := 0
	for i := 0; i < 8; i++ {
		sum += <-results
	}
	return sum
}

// A loop without calls yields only to the runtime's signal (SIGURG).
func preempted() bool {
	var stop uint32
	for i := 0; i < runtime.GOMAXPROCS(0); i++ {
		go func() {
			for n := uint64(1); atomic.LoadUint32(&stop) == 0; n++ {
			}
		}()
	}
	done := make(chan bool)
	go func() { runtime.GC(); done <- true }()
	select {
	case <-done:
	case <-time.After(60 * time.Second):
		return false
	}
	atomic.StoreUint32(&stop, 1)
	return true
}

// Threads blocked in the kernel: each read takes one from the runtime.
func blocked(count int) int {
	var pipe [2]int
	if err := syscall.Pipe(pipe[:]); err != nil {
		panic(err)
	}
	var group sync.WaitGroup
	var sum int64
	for i := 0; i < count; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			var b [1]byte
			if n, _ := syscall.Read(pipe[0], b[:]); n == 1 {
				atomic.AddInt64(&sum, int64(b[0]))
			}
		}()
	}
	for i := 0; i < count; i++ {
		syscall.Write(pipe[1], []byte{byte(i)})
	}
	group.Wait()
	return int(sum)
}

func signals() string {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGUSR1)
	syscall.Kill(syscall.Getpid(), syscall.SIGUSR1)
	select {
	case one := <-caught:
		return one.String()
	case <-time.After(20 * time.Second):
		return "none"
	}
}

func fault() (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	var none *node
	return fmt.Sprint(none.left)
}

func main() {
	fmt.Println("chain", chain(10000))
	locked, atomically := counters(1000, 100)
	fmt.Println("counters", locked, atomically)
	fmt.Println("garbage", garbage())
	fmt.Println("pre-empted", preempted())
	fmt.Println("blocked", blocked(200))
	fmt.Println("signal", signals())
	fmt.Println("fault", fault())
	bounded, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	<-bounded.Done()
	fmt.Println("context", bounded.Err())
	ticks, ticker := 0, time.NewTicker(2*time.Millisecond)
	for range ticker.C {
		if ticks++; ticks == 10 {
			break
		}
	}
	fmt.Println("ticks", ticks)
	var sleepers sync.WaitGroup
	begin := time.Now()
	for i := 0; i < 5000; i++ {
		sleepers.Add(1)
		go func(i int) { time.Sleep(time.Duration(i%50) * time.Millisecond); sleepers.Done() }(i)
	}
	sleepers.Wait()
	fmt.Println("slept", time.Since(begin) >= 49*time.Millisecond)
}
