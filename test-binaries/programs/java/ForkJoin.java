import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.concurrent.locks.*;
import java.util.stream.*;

/** Fork-join tasks, parallel streams, executors, locks, timers: java.util.concurrent on every CPU. */
public class ForkJoin {
	static class Sum extends RecursiveTask<Long> {
		final int from, to;

		Sum(int from, int to) {
			this.from = from;
			this.to = to;
		}

		@Override
		protected Long compute() {
			if (to - from <= 1000) {
				long sum = 0;
				for (int i = from; i < to; i++)
					sum += (long) i * i % 7;
				return sum;
			}
			int middle = (from + to) >>> 1;
			Sum left = new Sum(from, middle);
			left.fork();
			return new Sum(middle, to).compute() + left.join();
		}
	}

	static long synchronizedCount;

	public static void main(String[] arguments) throws Exception {
		ForkJoinPool pool = new ForkJoinPool(4);
		System.out.println("fork-join " + pool.invoke(new Sum(0, 1_000_000)));
		System.out.println("stream " + IntStream.range(0, 100_000).parallel().filter(n -> n % 3 == 0).asLongStream().sum());

		ExecutorService executor = Executors.newFixedThreadPool(8);
		var futures = IntStream.range(0, 200).mapToObj(n -> executor.submit(() -> n * n)).collect(Collectors.toList());
		long squares = 0;
		for (var future : futures)
			squares += future.get();
		System.out.println("executor " + squares);

		Object monitor = new Object();
		ReentrantLock lock = new ReentrantLock();
		AtomicLong atomic = new AtomicLong();
		long[] locked = {0};
		Thread[] threads = new Thread[20];
		CyclicBarrier barrier = new CyclicBarrier(threads.length);
		for (int i = 0; i < threads.length; i++) {
			threads[i] = new Thread(() -> {
				try {
					barrier.await();
				} catch (InterruptedException | BrokenBarrierException error) {
					throw new IllegalStateException(error);
				}
				for (int j = 0; j < 500; j++) {
					atomic.incrementAndGet();
					synchronized (monitor) {
						synchronizedCount++;
					}
					lock.lock();
					locked[0]++;
					lock.unlock();
				}
			});
			threads[i].start();
		}
		for (Thread thread : threads)
			thread.join();
		System.out.println("counts " + atomic + " " + synchronizedCount + " " + locked[0]);

		ArrayBlockingQueue<Integer> queue = new ArrayBlockingQueue<>(10);
		Thread producer = new Thread(() -> {
			try {
				for (int i = 0; i <= 1000; i++)
					queue.put(i);
			} catch (InterruptedException error) {
				throw new IllegalStateException(error);
			}
		});
		producer.start();
		long taken = 0;
		for (int item; (item = queue.take()) < 1000;)
			taken += item;
		System.out.println("queue " + taken);

		ScheduledExecutorService timers = Executors.newScheduledThreadPool(2);
		CountDownLatch ticks = new CountDownLatch(5);
		timers.scheduleAtFixedRate(ticks::countDown, 5, 5, TimeUnit.MILLISECONDS);
		System.out.println("timers " + ticks.await(20, TimeUnit.SECONDS));
		System.out.println("async " + CompletableFuture.supplyAsync(() -> 20).thenCombineAsync(CompletableFuture.supplyAsync(() -> 22), Integer::sum).get());

		Thread sleeper = new Thread(() -> {
			try {
				Thread.sleep(100_000);
			} catch (InterruptedException error) {
				System.out.println("interrupted");
			}
		});
		sleeper.start();
		sleeper.interrupt();
		sleeper.join();
		try {
			recurse(0);
		} catch (StackOverflowError error) {
			System.out.println("stack overflow caught");
		}
		try {
			System.out.println(((String) null).length());
		} catch (NullPointerException error) {
			System.out.println("null pointer caught");
		}
		executor.shutdown();
		timers.shutdown();
		pool.shutdown();
	}

	static int recurse(int depth) {
		return recurse(depth + 1) + 1;
	}
}
