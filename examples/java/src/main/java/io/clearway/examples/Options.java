package io.clearway.examples;

import com.google.gson.Gson;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** The options of the command line. */
record Options(String address, String flow, List<String> tags, Map<String, Integer> numbers, List<String> texts) {
  static final String USAGE = """
      usage: worker --address HOST:PORT [options]

        --flow NAME            the flow's name (default: java-worker)
        --tag TAG              a tag of its tasks; may be given several times
        --tasks N              how many runs of the task 'work' (default: 3; at most 1000)
        --milliseconds M       how long each takes (default: 10)
        --retries N            how often a failed run is tried again (default: 2)
        --retry-delay-ms M     how long it waits before that (default: 100)
        --fail-attempts N      lets the first N attempts of each run fail (default: 0)
        --result-bytes N       fills each result up to about this size (default: 0; at most 65000)
        --normalise TEXT       runs the cached task 'normalise' on a text, too; may be given several times
        --key-of JSON          prints the cache key of {"task_key": ..., "arguments": {...}}, and runs nothing
        --help                 shows this""";

  private static final Pattern ADDRESS = Pattern.compile("([\\w.-]+|\\[[\\da-fA-F:.]+]):(?<port>[0-9]{1,5})");
  private static final int MAX_PORT = 65_535;

  private record Number(int otherwise, int most) {}

  private static final Map<String, Number> NUMBERS = Map.of(
      "tasks", new Number(3, 1_000),
      "milliseconds", new Number(10, 3_600_000),
      "retries", new Number(2, 10_000),
      "retry-delay-ms", new Number(100, 3_600_000),
      "fail-attempts", new Number(0, 10_000),
      "result-bytes", new Number(0, 65_000));

  int number(String name) {
    return numbers.get(name);
  }

  /** Returns the arguments as the flow run's parameters. */
  String parametersJson() {
    var parameters = new Gson().toJsonTree(numbers).getAsJsonObject();
    parameters.add("texts", new Gson().toJsonTree(texts));
    return parameters.toString();
  }

  /**
   * Reads the command line.
   *
   * @throws ClearwayException.Usage something is wrong with it.
   */
  static Options parse(String[] arguments) {
    String address = null;
    var flow = "java-worker";
    var tags = new ArrayList<String>();
    var texts = new ArrayList<String>();
    var numbers = new HashMap<String, Integer>();
    NUMBERS.forEach((name, number) -> numbers.put(name, number.otherwise()));
    for (int place = 0; place < arguments.length; place += 2) {
      var option = arguments[place];
      var name = option.startsWith("--") ? option.substring(2) : "";
      if (!NUMBERS.containsKey(name) && !List.of("address", "flow", "tag", "normalise").contains(name)) {
        throw new ClearwayException.Usage("unknown option '%s'".formatted(option));
      }
      if (place + 1 == arguments.length) throw new ClearwayException.Usage(option + " needs a value");
      var value = arguments[place + 1];
      switch (name) {
        case "address" -> address = value;
        case "flow" -> flow = value;
        case "tag" -> tags.add(value);
        case "normalise" -> texts.add(value);
        default -> numbers.put(name, whole(option, value, NUMBERS.get(name).most()));
      }
    }
    if (address == null) throw new ClearwayException.Usage("--address is missing; it must be HOST:PORT");
    var parts = ADDRESS.matcher(address);
    if (!parts.matches() || Integer.parseInt(parts.group("port")) > MAX_PORT) {
      throw new ClearwayException.Usage(
          "--address is '%s'; it must be HOST:PORT, with a port up to %d".formatted(address, MAX_PORT));
    }
    return new Options(address, flow, tags, numbers, texts);
  }

  private static int whole(String option, String value, int most) {
    if (value.matches("[0-9]{1,9}") && Integer.parseInt(value) <= most) return Integer.parseInt(value);
    throw new ClearwayException.Usage(
        "%s is '%s'; it must be a whole number from 0 to %d".formatted(option, value, most));
  }
}
