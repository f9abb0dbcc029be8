import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Serves made-up requests, in bursts; each needs some megabytes that are garbage afterwards. */
public class Garbage {
    public static void main(String[] args) throws Exception {
        Random random = new Random();
        long sum = 0;
        while (true) {
            List<byte[]> answer = new ArrayList<>();
            for (int i = 0; i < 20 + random.nextInt(60); i++) {
                answer.add(new byte[random.nextInt(40_000)]);
            }
            sum += answer.size();
            Thread.sleep(50 + random.nextInt(100));
        }
    }
}
