import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Keeps a line of every request in a static list that nobody clears: a log that was once for debugging. */
public class StaticList {
    static final List<String> LOG = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        Random random = new Random();
        long n = 0, sum = 0;
        while (true) {
            for (int i = 0; i < 5; i++) {
                n++;
                LOG.add("request " + n + " from " + random.nextLong() + " took " + "x".repeat(random.nextInt(1000)));
            }
            // The request's own garbage.
            StringBuilder page = new StringBuilder();
            for (int i = 0; i < 200 + random.nextInt(2000); i++) {
                page.append(i).append(' ').append(random.nextInt());
            }
            sum += page.toString().hashCode();
            Thread.sleep(50);
        }
    }
}
