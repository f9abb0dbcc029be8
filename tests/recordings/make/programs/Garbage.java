import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Serves made-up requests, each with its garbage.
 * With an argument it also does a batch job every so many seconds, which needs 60 to 80 MB for a while.
 */
public class Garbage {
    static List<byte[]> batch;

    public static void main(String[] args) throws Exception {
        long every = args.length > 0 ? Long.parseLong(args[0]) * 1000 : Long.MAX_VALUE;
        Random random = new Random();
        long sum = 0, began = System.currentTimeMillis();
        while (true) {
            List<byte[]> answer = new ArrayList<>();
            for (int i = 0; i < 20 + random.nextInt(60); i++) {
                answer.add(new byte[random.nextInt(40_000)]);
            }
            sum += answer.size();
            long at = (System.currentTimeMillis() - began) % every;
            if (every < Long.MAX_VALUE && at > every / 4 && at < every * 3 / 4) {
                if (batch == null) batch = new ArrayList<>();
                if (batch.size() < 60 + random.nextInt(20)) batch.add(new byte[1_000_000]);
            } else {
                batch = null;
            }
            Thread.sleep(50 + random.nextInt(100));
        }
    }
}
