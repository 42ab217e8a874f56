/** SIGQUIT from outside makes the runtime print what each thread does; then the program goes on. */
public class Dump {
	public static void main(String[] arguments) throws Exception {
		Thread waiting = new Thread(() -> {
			synchronized (Dump.class) {
				try {
					Dump.class.wait();
				} catch (InterruptedException error) {
					System.out.println("interrupted");
				}
			}
		}, "a thread that waits");
		waiting.start();
		while (waiting.getState() != Thread.State.WAITING)
			Thread.sleep(1);
		System.out.println("ready");
		// Nothing in Java tells when the dump has been printed.
		Thread.sleep(5000);
		waiting.interrupt();
		waiting.join();
		System.out.println("goes on");
		System.exit(6);
	}
}
