import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindowedKStream;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.processor.TimestampExtractor;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.SessionStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Session windows with Kafka Streams, the rival of bench/ingest: a user's events, as bytes with a length of 4 bytes before each,
 * joined into one record when the session closes.
 *
 *   Sessions BOOTSTRAP IN OUT GUARANTEE VARIANT EVENTS SESSIONS STATE_FOLDER
 *
 * GUARANTEE: exactly_once_v2 or at_least_once. VARIANT: "default": the DSL's session windows with every setting as it comes;
 * "tuned": the same with a cache of 64 MB, a commit a second and large batches; "append": tuned, the Processor API with a store that an event is written to once, in RocksDB; "memory": the
 * same in memory. The last two need events in order of time and merge no sessions, which is less than the DSL and mtf do.
 *
 * Prints events/s and CPU seconds of the second half of EVENTS, when the JIT has done its work, and how many sessions came out.
 */
public final class Sessions {
  static final long GAP_MS = 1800000, GRACE_MS = 65000; // mtf's grace and out-of-orderness
  static final AtomicLong in = new AtomicLong(), out = new AtomicLong();

  /** The event's own time: the long behind frame, event id and user id of the Avro record. */
  public static final class EventTime implements TimestampExtractor {
    @Override
    public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
      ByteBuffer b = ByteBuffer.wrap((byte[]) record.value());
      b.position(10);
      for (int text = 0; text < 2; text++) {
        int size = (int) varint(b);
        b.position(b.position() + size);
      }
      return varint(b);
    }

    static long varint(ByteBuffer b) {
      long value = 0;
      for (int shift = 0; ; shift += 7) {
        byte next = b.get();
        value |= (long) (next & 0x7f) << shift;
        if (next >= 0) return value >>> 1 ^ -(value & 1);
      }
    }
  }

  static byte[] join(byte[] before, byte[] event) {
    return ByteBuffer.allocate(before.length + 4 + event.length).put(before).putInt(event.length).put(event).array();
  }

  static byte[] merge(byte[] a, byte[] b) {
    return ByteBuffer.allocate(a.length + b.length).put(a).put(b).array();
  }

  static KStream<byte[], byte[]> windows(KStream<byte[], byte[]> events) {
    SessionWindows windows = SessionWindows.ofInactivityGapAndGrace(Duration.ofMillis(GAP_MS), Duration.ofMillis(GRACE_MS));
    SessionWindowedKStream<byte[], byte[]> windowed =
        events.groupByKey(Grouped.with(Serdes.ByteArray(), Serdes.ByteArray())).windowedBy(windows);
    Materialized<byte[], byte[], SessionStore<Bytes, byte[]>> store =
        Materialized.<byte[], byte[], SessionStore<Bytes, byte[]>>as("sessions")
            .withKeySerde(Serdes.ByteArray()).withValueSerde(Serdes.ByteArray());
    var table = windowed.aggregate(() -> new byte[0], (k, v, sum) -> join(sum, v), (k, a, b) -> merge(a, b), store);
    table = table.suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()));
    return table.toStream((k, v) -> k.key()).filter((k, v) -> v != null);
  }

  /** An open session; `due` says when it was last put into the queue for. */
  static final class Open {
    final Bytes user;
    long start, end;
    int count;

    Open(Bytes user) {
      this.user = user;
    }
  }

  record Due(long at, Open session) {}

  /** Events are appended under (user, start, number); what is open is kept in memory, too, and in a small store to restart from. */
  static final class Appender implements Processor<byte[], byte[], byte[], byte[]> {
    ProcessorContext<byte[], byte[]> context;
    KeyValueStore<Bytes, byte[]> events, index;
    final Map<Bytes, Open> open = new HashMap<>();
    final PriorityQueue<Due> queue = new PriorityQueue<>((a, b) -> Long.compare(a.at, b.at));
    long time = Long.MIN_VALUE;

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      events = context.getStateStore("events");
      index = context.getStateStore("index");
      try (KeyValueIterator<Bytes, byte[]> all = index.all()) {
        while (all.hasNext()) {
          var entry = all.next();
          ByteBuffer b = ByteBuffer.wrap(entry.value);
          Open session = new Open(entry.key);
          session.start = b.getLong();
          session.end = b.getLong();
          session.count = b.getInt();
          open.put(entry.key, session);
          queue.add(new Due(session.end, session));
        }
      }
    }

    static Bytes place(Open session, int number) {
      byte[] user = session.user.get();
      return Bytes.wrap(
          ByteBuffer.allocate(user.length + 13).put(user).put((byte) 0).putLong(session.start).putInt(number).array());
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
      time = Math.max(time, record.timestamp());
      while (!queue.isEmpty() && queue.peek().at + GAP_MS + GRACE_MS < time) {
        Due due = queue.poll();
        if (due.session.end > due.at) queue.add(new Due(due.session.end, due.session));
        else close(due.session);
      }
      Bytes user = Bytes.wrap(record.key());
      Open session = open.get(user);
      if (session == null) {
        session = new Open(user);
        session.start = session.end = record.timestamp();
        open.put(user, session);
        queue.add(new Due(session.end, session));
      }
      session.end = record.timestamp();
      events.put(place(session, session.count++), record.value());
      index.put(user, ByteBuffer.allocate(20).putLong(session.start).putLong(session.end).putInt(session.count).array());
    }

    void close(Open session) {
      byte[][] parts = new byte[session.count][];
      int size = 0;
      for (int i = 0; i < session.count; i++) {
        parts[i] = events.delete(place(session, i));
        size += 4 + parts[i].length;
      }
      ByteBuffer joined = ByteBuffer.allocate(size);
      for (byte[] part : parts) joined.putInt(part.length).put(part);
      open.remove(session.user);
      index.delete(session.user);
      context.forward(new Record<>(session.user.get(), joined.array(), session.end));
    }
  }

  static KStream<byte[], byte[]> append(StreamsBuilder builder, KStream<byte[], byte[]> events, boolean memory) {
    for (String name : new String[] {"events", "index"}) {
      KeyValueBytesStoreSupplier kind = memory ? Stores.inMemoryKeyValueStore(name) : Stores.persistentKeyValueStore(name);
      var store = Stores.keyValueStoreBuilder(kind, Serdes.Bytes(), Serdes.ByteArray());
      builder.addStateStore(name.equals("index") ? store.withCachingEnabled() : store);
    }
    return events.process(Appender::new, "events", "index");
  }

  static Properties settings(String[] a) {
    Properties p = new Properties();
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, "bench-streams-" + a[3].replace('_', '-') + "-" + a[4]);
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, a[0]);
    p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, a[3]);
    p.put(StreamsConfig.STATE_DIR_CONFIG, a[7]);
    p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    p.put(StreamsConfig.DEFAULT_TIMESTAMP_EXTRACTOR_CLASS_CONFIG, EventTime.class);
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    if (a[4].equals("default")) return p;
    p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64 << 20);
    p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
    p.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10000);
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 10000);
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.FETCH_MIN_BYTES_CONFIG), 65536);
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 << 20);
    p.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    p.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), 100);
    p.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
    return p;
  }

  public static void main(String[] a) throws Exception {
    StreamsBuilder builder = new StreamsBuilder();
    long events = Long.parseLong(a[5]), sessions = Long.parseLong(a[6]);
    KStream<byte[], byte[]> read = builder.stream(a[1], Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()));
    read = read.peek((k, v) -> in.incrementAndGet());
    boolean own = a[4].equals("append") || a[4].equals("memory");
    KStream<byte[], byte[]> joined =
        own ? append(builder, read, a[4].equals("memory")) : windows(read);
    joined.peek((k, v) -> out.incrementAndGet()).to(a[2], Produced.with(Serdes.ByteArray(), Serdes.ByteArray()));

    OperatingSystemMXBean os = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    KafkaStreams streams = new KafkaStreams(builder.build(), settings(a));
    streams.setUncaughtExceptionHandler(e -> {
      e.printStackTrace();
      Runtime.getRuntime().halt(1);
      return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    });
    streams.start();
    long half = 0, halfNs = 0, halfCpu = 0;
    while (in.get() < events) {
      Thread.sleep(5);
      if (half == 0 && in.get() >= events / 2) {
        half = in.get();
        halfNs = System.nanoTime();
        halfCpu = os.getProcessCpuTime();
      }
    }
    double seconds = (System.nanoTime() - halfNs) / 1e9, cpu = (os.getProcessCpuTime() - halfCpu) / 1e9;
    long counted = in.get() - half;
    for (int i = 0; i < 1200 && out.get() < sessions; i++) Thread.sleep(50);
    streams.close(Duration.ofSeconds(60));
    System.out.printf("{\"events\": %d, \"seconds\": %.3f, \"cpu_s\": %.3f, \"sessions\": %d}%n", counted, seconds, cpu, out.get());
    System.exit(0);
  }
}
