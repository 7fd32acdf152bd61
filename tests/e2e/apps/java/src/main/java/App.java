import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;
import dev.dbos.transact.DBOS;
import dev.dbos.transact.DBOSClient;
import dev.dbos.transact.config.DBOSConfig;
import dev.dbos.transact.context.DBOSContext;
import dev.dbos.transact.workflow.QueueOptions;
import dev.dbos.transact.workflow.Workflow;
import dev.dbos.transact.workflow.WorkflowClassName;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * The application of the other folders, in Java, and the Java client beside it: App worker URL, App enqueue URL with
 * one JSON object a line on standard input, App result URL ID.
 */
public class App {
  public record Order(String name, long times) {}

  public record Greeting(String greeting, long times) {}

  public interface Orders {
    Greeting greet(Order order);

    Object echo(Object value);

    List<Object> pair(Object a, Object b);

    String when(Instant moment);

    Map<String, Object> identity();

    String fail(String reason);

    String slow(double seconds);

    String restock(String sku);
  }

  @WorkflowClassName("Orders")
  public static class OrdersImpl implements Orders {
    private final DBOS dbos;
    private final String name;

    OrdersImpl(DBOS dbos, String name) {
      this.dbos = dbos;
      this.name = name;
    }

    @Workflow(name = "greet")
    public Greeting greet(Order order) {
      return new Greeting("hello " + order.name(), order.times() + 1);
    }

    @Workflow(name = "echo")
    public Object echo(Object value) {
      return value;
    }

    @Workflow(name = "pair")
    public List<Object> pair(Object a, Object b) {
      return Arrays.asList(a, b);
    }

    @Workflow(name = "when")
    public String when(Instant moment) {
      return "Instant " + moment;
    }

    @Workflow(name = "identity")
    public Map<String, Object> identity() {
      return Map.of("user", DBOSContext.authenticatedUser(), "roles", DBOSContext.authenticatedRoles());
    }

    @Workflow(name = "fail")
    public String fail(String reason) {
      throw new IllegalStateException(reason);
    }

    @Workflow(name = "slow")
    public String slow(double seconds) {
      for (int nap = 0; nap < seconds * 10; nap++) {
        dbos.sleep(Duration.ofMillis(100));
      }
      return "done";
    }

    @Workflow(name = "restock")
    public String restock(String sku) {
      return name + ": " + sku;
    }
  }

  public static void main(String[] words) throws Exception {
    var at = new URI(words[1]);
    var jdbc = "jdbc:postgresql://%s:%d%s?sslmode=disable".formatted(at.getHost(), at.getPort(), at.getPath());
    var user = at.getUserInfo().split(":", 2);
    if (words[0].equals("worker")) {
      worker(jdbc, user[0], user[1]);
      return;
    }
    var json = new ObjectMapper();
    try (var client = new DBOSClient(jdbc, user[0], user[1])) {
      if (words[0].equals("result")) {
        System.out.println(json.writeValueAsString(client.retrieveWorkflow(words[2]).getResult()));
        return;
      }
      var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      for (var line = lines.readLine(); line != null; line = lines.readLine()) {
        enqueue(client, json.readTree(line), json);
      }
    }
  }

  private static void worker(String jdbc, String user, String password) throws Exception {
    var config = DBOSConfig.defaults("sdks")
        .withDatabaseUrl(jdbc)
        .withDbUser(user)
        .withDbPassword(password)
        .withAppVersion("v1")
        .withDatabaseSchema(System.getenv().getOrDefault("APP_SCHEMA", "dbos"))
        .withAdminServer(false)
        .withUseListenNotify(false);
    var dbos = new DBOS(config);
    dbos.registerProxy(Orders.class, new OrdersImpl(dbos, "plain"));
    dbos.registerProxy(Orders.class, new OrdersImpl(dbos, "berlin"), "berlin");
    dbos.launch();
    var quick = QueueOptions.setPollingInterval(Duration.ofMillis(50));
    dbos.registerQueue("plain", quick);
    dbos.registerQueue("serial", quick.andConcurrency(1).andPriorityEnabled(true));
    dbos.registerQueue("partitioned", quick.andConcurrency(1).andPartitionQueue(true));
    dbos.registerQueue("limited", quick.andRateLimit(2, Duration.ofSeconds(1)));
    System.out.println("ready");
    Thread.sleep(Long.MAX_VALUE);
  }

  private static void enqueue(DBOSClient client, JsonNode one, ObjectMapper json) {
    var options = new DBOSClient.EnqueueOptions(one.get("workflow").asText(), one.get("queue").asText())
        .withWorkflowId(one.get("id").asText());
    if (one.has("class_name")) options = options.withClassName(one.get("class_name").asText());
    if (one.has("instance_name")) options = options.withInstanceName(one.get("instance_name").asText());
    if (one.has("deduplication_id")) options = options.withDeduplicationId(one.get("deduplication_id").asText());
    if (one.has("priority")) options = options.withPriority(one.get("priority").asInt());
    if (one.has("timeout_ms")) options = options.withTimeout(Duration.ofMillis(one.get("timeout_ms").asLong()));
    if (one.has("delay_ms")) options = options.withDelay(Duration.ofMillis(one.get("delay_ms").asLong()));
    if (one.has("queue_partition_key")) {
      options = options.withQueuePartitionKey(one.get("queue_partition_key").asText());
    }
    if (one.has("application_version")) options = options.withAppVersion(one.get("application_version").asText());
    if (one.has("authenticated_user")) {
      List<String> roles = new ArrayList<>();
      one.get("authenticated_roles").forEach(role -> roles.add(role.asText()));
      options = options.withAuthentication(one.get("authenticated_user").asText(), roles.toArray(String[]::new));
    }
    if (one.has("assumed_role")) options = options.withAssumedRole(one.get("assumed_role").asText());
    if (one.has("deadline")) options = options.withDeadline(Instant.parse(one.get("deadline").asText()));
    if (one.has("attributes")) {
      options = options.withAttributes(json.convertValue(one.get("attributes"), Map.class));
    }
    Object[] args = one.has("args") ? json.convertValue(one.get("args"), Object[].class) : new Object[0];
    client.enqueuePortableWorkflow(options, args, null);
  }
}
