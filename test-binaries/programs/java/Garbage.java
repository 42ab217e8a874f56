import java.util.*;
import java.util.concurrent.*;

/** Several threads make garbage while some of it stays alive, in a heap that forces many collections; then the heap overflows. */
public class Garbage {
	static final class Node {
		final Node left, right;
		final byte[] payload = new byte[40];

		Node(int depth) {
			left = depth == 0 ? null : new Node(depth - 1);
			right = depth == 0 ? null : new Node(depth - 1);
		}

		int count() {
			return left == null ? 1 : 1 + left.count() + right.count();
		}
	}

	public static void main(String[] arguments) throws Exception {
		ExecutorService executor = Executors.newFixedThreadPool(4);
		List<Future<Integer>> results = new ArrayList<>();
		for (int i = 0; i < 4; i++)
			results.add(executor.submit(() -> {
				Node kept = new Node(13);
				int total = 0;
				for (int round = 0; round < 60; round++)
					total += new Node(12).count();
				return total + kept.count();
			}));
		long total = 0;
		for (Future<Integer> result : results)
			total += result.get();
		executor.shutdown();
		System.out.println("nodes " + total);
		boolean collected = java.lang.management.ManagementFactory.getGarbageCollectorMXBeans().stream().anyMatch(one -> one.getCollectionCount() > 0);
		System.out.println("collected " + collected);
		List<byte[]> kept = new ArrayList<>();
		try {
			while (true)
				kept.add(new byte[1 << 20]);
		} catch (OutOfMemoryError error) {
			int count = kept.size();
			kept.clear();
			System.out.println("out of memory " + (count > 5) + " " + error.getMessage());
		}
		System.exit(5);
	}
}
