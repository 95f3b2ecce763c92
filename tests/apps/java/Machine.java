// SPDX-License-Identifier: MIT
// What servers in Java use, printed: the output on Linux is what it must be.  With an argument: an HTTP server.
import com.sun.net.httpserver.HttpServer;
import java.io.*;
import java.net.*;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.*;

public class Machine {
    static int depth;
    static Object nothing;
    static volatile Object sink;

    static int recurse(int n) {
        depth = n;
        return recurse(n + 1) + 1;
    }

    static int lengthOf(String text) {
        return text.length();
    }

    static void errors() {
        // Compiled code finds null by the fault, so the method must be hot first.
        int sum = 0;
        for (int n = 0; n < 200000; n++)
            sum += lengthOf("text");
        int caught = 0;
        for (int n = 0; n < 2000; n++) {
            try {
                sum += lengthOf(n % 2 == 0 ? null : "x");
            } catch (NullPointerException e) {
                caught++;
            }
        }
        System.out.println("null " + caught + " " + sum);
        for (int n = 0; n < 3; n++) {
            try {
                recurse(0);
            } catch (StackOverflowError e) {
                System.out.println("overflow " + (depth > 1000));
            }
        }
        try {
            List<byte[]> all = new ArrayList<>();
            for (;;)
                all.add(new byte[1 << 20]);
        } catch (OutOfMemoryError e) {
            System.out.println(e.getMessage());
        }
        try {
            System.out.println(1 / (sum - sum));
        } catch (ArithmeticException e) {
            System.out.println(e.getMessage());
        }
        try {
            sink = new int[sum - sum][-1];
        } catch (NegativeArraySizeException e) {
            System.out.println(e.getMessage());
        }
    }

    static void collect() throws Exception {
        // Each thread keeps a table alive and makes garbage; what survives must be whole.
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Long>> results = new ArrayList<>();
        for (int t = 0; t < 4; t++) {
            final int seed = t;
            results.add(pool.submit(() -> {
                Map<Integer, String> live = new HashMap<>();
                Random random = new Random(seed);
                for (int n = 0; n < 150000; n++) {
                    live.put(random.nextInt(3000), "value " + n);
                    sink = new byte[random.nextInt(2000)];
                }
                return live.values().stream().mapToLong(String::length).sum() + live.size();
            }));
        }
        for (Future<Long> result : results)
            System.out.print(result.get() + " ");
        pool.shutdown();
        System.gc();
        System.out.println("collected");
    }

    static void threads() throws Exception {
        AtomicLong total = new AtomicLong();
        Thread[] all = new Thread[200];
        CountDownLatch latch = new CountDownLatch(all.length);
        for (int n = 0; n < all.length; n++) {
            all[n] = new Thread(() -> {
                latch.countDown();
                try {
                    latch.await();
                } catch (InterruptedException e) {
                    return;
                }
                for (int i = 0; i < 1000; i++)
                    total.incrementAndGet();
            });
            all[n].start();
        }
        for (Thread thread : all)
            thread.join();
        System.out.println("threads " + total);
        int[] shared = new int[1];
        Object lock = new Object();
        Runnable adder = () -> {
            for (int i = 0; i < 20000; i++)
                synchronized (lock) {
                    shared[0]++;
                }
        };
        Thread one = new Thread(adder), two = new Thread(adder);
        one.start();
        two.start();
        one.join();
        two.join();
        System.out.println("locked " + shared[0]);
        System.out.println("parallel " + IntStream.range(0, 1000000).parallel().filter(n -> n % 7 == 0).count());
        Thread sleeper = new Thread(() -> {
            try {
                Thread.sleep(60000);
            } catch (InterruptedException e) {
                System.out.println("interrupted");
            }
        });
        sleeper.start();
        sleeper.interrupt();
        sleeper.join();
        long start = System.nanoTime();
        LockSupport.parkNanos(20_000_000);
        Thread.sleep(20);
        System.out.println("slept " + (System.nanoTime() - start >= 20_000_000));
        System.out.println(new ForkJoinPool(3).submit(() -> IntStream.range(0, 100).parallel().sum()).get());
    }

    static void processes() throws Exception {
        Process process = new ProcessBuilder("/bin/sh", "-c", "cat; echo err >&2; exit 7").redirectErrorStream(true).start();
        try (Writer in = process.outputWriter()) {
            in.write("to the child\n");
        }
        System.out.print(new String(process.getInputStream().readAllBytes()));
        System.out.println(process.waitFor());
        List<Process> all = new ArrayList<>();
        for (int n = 0; n < 8; n++)
            all.add(new ProcessBuilder("/bin/sh", "-c", "exit " + n).start());
        int sum = 0;
        for (Process child : all)
            sum += child.onExit().get(60, TimeUnit.SECONDS).exitValue();
        System.out.println(sum);
        Process sleeper = new ProcessBuilder("/bin/sleep", "60").start();
        System.out.println(sleeper.isAlive() + " " + sleeper.toHandle().destroy() + " " + sleeper.waitFor());
        try {
            new ProcessBuilder("/no/such").start();
        } catch (IOException e) {
            System.out.println(e.getMessage());
        }
        System.out.println(ProcessBuilder.startPipeline(List.of(new ProcessBuilder("/usr/bin/seq", "5000"),
                new ProcessBuilder("/usr/bin/wc", "-l"))).get(1).inputReader().readLine().trim());
    }

    static void files() throws Exception {
        Path dir = Files.createTempDirectory("java"), file = dir.resolve("file");
        Files.writeString(file, "line\n".repeat(1000));
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            var map = channel.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20);
            map.put(1 << 19, (byte) 'x');
            map.force();
            System.out.println(channel.size() + " " + channel.lock().isValid() + " " + map.get(0));
        }
        try (WatchService watcher = dir.getFileSystem().newWatchService(); Stream<Path> list = Files.list(dir)) {
            dir.register(watcher, StandardWatchEventKinds.ENTRY_CREATE);
            Files.copy(file, dir.resolve("copy"));
            System.out.println(watcher.poll(30, TimeUnit.SECONDS).pollEvents().get(0).context() + " " + list.count());
        }
        try (Stream<Path> walk = Files.walk(dir)) {
            walk.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
        }
        System.out.println(Files.exists(dir));
    }

    static void sockets() throws Exception {
        Selector selector = Selector.open();
        ServerSocketChannel server = ServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0));
        server.configureBlocking(false).register(selector, SelectionKey.OP_ACCEPT);
        Thread thread = new Thread(() -> {
            ByteBuffer buffer = ByteBuffer.allocateDirect(4096);
            try {
                for (;;) {
                    selector.select();
                    Set<SelectionKey> selected = selector.selectedKeys();
                    synchronized (selected) {  // as close() is, which empties it
                        for (var keys = selected.iterator(); keys.hasNext(); keys.remove()) {
                            SelectionKey key = keys.next();
                            if (key.isAcceptable()) {
                                server.accept().configureBlocking(false).register(selector, SelectionKey.OP_READ);
                                continue;
                            }
                            SocketChannel client = (SocketChannel) key.channel();
                            if (client.read(buffer.clear()) < 0)
                                client.close();
                            else
                                client.write(buffer.flip());
                        }
                    }
                }
            } catch (IOException | ClosedSelectorException e) {
                System.out.println("closed");
            }
        });
        thread.start();
        int total = 0;
        for (int n = 0; n < 30; n++) {
            try (Socket client = new Socket(InetAddress.getLoopbackAddress(), server.socket().getLocalPort())) {
                client.getOutputStream().write(new byte[n]);
                client.shutdownOutput();
                total += client.getInputStream().readAllBytes().length;
            }
        }
        selector.close();
        thread.join();
        System.out.println("echoed " + total);
    }

    static void serve() throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 100);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/", exchange -> {
            byte[] body = "Hello from Java\n".getBytes();
            for (int n = 0; n < 20; n++)
                sink = new byte[10000];
            exchange.sendResponseHeaders(200, body.length);
            try (OutputStream out = exchange.getResponseBody()) {
                out.write(body);
            }
        });
        server.createContext("/signal/", exchange -> {
            String name = exchange.getRequestURI().getPath().substring(8);
            exchange.sendResponseHeaders(204, -1);
            exchange.close();
            new ProcessBuilder("/bin/sh", "-c", "kill -" + name + " " + ProcessHandle.current().pid()).start();
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("shut down")));
        server.start();
        System.out.println("ready");
    }

    public static void main(String[] args) throws Exception {
        if (args.length > 0) {
            serve();
            return;
        }
        errors();
        collect();
        threads();
        processes();
        files();
        sockets();
        System.out.println(Runtime.getRuntime().maxMemory() >> 24);
    }
}
