// Counts primes below a number by a segmented sieve, on as many CPUs as there are. On standard error: how long it took with one
// goroutine, how long with one for each CPU, and how many times faster that was.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const segment = 1 << 16

func small(below int) (primes []int) {
	composite := make([]bool, below)
	for n := 2; n < below; n++ {
		if composite[n] {
			continue
		}
		primes = append(primes, n)
		for m := n * n; m < below; m += n {
			composite[m] = true
		}
	}
	return primes
}

func count(below, workers int) int {
	root := 2
	for root*root < below {
		root++
	}
	primes := small(root + 1)
	var next, total int64
	var group sync.WaitGroup
	for i := 0; i < workers; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			composite := make([]bool, segment)
			for {
				start := int(atomic.AddInt64(&next, 1)-1) * segment
				if start >= below {
					return
				}
				end := start + segment
				if end > below {
					end = below
				}
				for i := range composite {
					composite[i] = false
				}
				for _, prime := range primes {
					first := (start + prime - 1) / prime * prime
					if first < prime*prime {
						first = prime * prime
					}
					for m := first; m < end; m += prime {
						composite[m-start] = true
					}
				}
				found := 0
				for n := start; n < end; n++ {
					if n >= 2 && !composite[n-start] {
						found++
					}
				}
				atomic.AddInt64(&total, int64(found))
			}
		}()
	}
	group.Wait()
	return int(total)
}

func main() {
	below, err := strconv.Atoi(os.Args[1])
	if err != nil {
		panic(err)
	}
	begin := time.Now()
	one := count(below, 1)
	single := time.Since(begin)
	begin = time.Now()
	all := count(below, runtime.GOMAXPROCS(0))
	parallel := time.Since(begin)
	fmt.Println(one, all)
	fmt.Fprintf(os.Stderr, "%d CPUs: %v with one goroutine, %v with one for each: %.2f times faster\n",
		runtime.NumCPU(), single, parallel, single.Seconds()/parallel.Seconds())
}
