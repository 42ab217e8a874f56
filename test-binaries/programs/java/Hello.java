/** The smallest Java program. */
public class Hello {
	public static void main(String[] arguments) {
		System.out.println("hello " + String.join(",", arguments));
		System.exit(3);
	}
}
