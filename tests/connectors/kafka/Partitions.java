import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.HexFormat;

import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

/** What Kafka's own client says of each key: lines of a count and a key in hexadecimal digits. */
public class Partitions {
    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        StringBuilder said = new StringBuilder();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] parts = line.split(" ", -1);
            byte[] key = HexFormat.of().parseHex(parts[1]);
            int count = Integer.parseInt(parts[0]);
            said.append(Utils.murmur2(key)).append(' ');
            said.append(BuiltInPartitioner.partitionForKey(key, count)).append('\n');
        }
        System.out.print(said);
    }
}
