package io.clearway.examples;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import org.erdtman.jcs.JsonCanonicalizer;

/** The cache keys that all languages make from the same inputs; see docs/cache-keys.md. */
final class CacheKeys {
  private static final BigDecimal LARGEST_EXACT = BigDecimal.valueOf((1L << 53) - 1);

  private CacheKeys() {}

  /**
   * Returns the key that Python's {@code clearway.hashing.input_key} makes of the same inputs.
   *
   * @param taskKey what the languages that share the result have agreed to call the task.
   * @param arguments the task's arguments by name.
   */
  static String inputKey(String taskKey, JsonObject arguments) {
    return sha256(canonical(taskKey, arguments).getBytes(StandardCharsets.UTF_8));
  }

  /** Returns the text that {@link #inputKey} hashes. */
  static String canonical(String taskKey, JsonObject arguments) {
    var whole = new JsonObject();
    whole.add("arguments", shared(arguments));
    whole.addProperty("function", ""); // no language has the other's source
    whole.addProperty("task_key", taskKey);
    try {
      return new JsonCanonicalizer(whole.toString()).getEncodedString();
    } catch (IOException unwritable) {
      throw new IllegalArgumentException("a cache key is made of what JSON holds", unwritable);
    }
  }

  /** Returns the bytes' SHA-256 in hexadecimal digits. */
  static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException impossible) {
      throw new AssertionError("every Java has SHA-256", impossible);
    }
  }

  /** Returns a value in the form that it has in keys; see the table in docs/cache-keys.md. */
  private static JsonElement shared(JsonElement value) {
    if (value instanceof JsonArray items) {
      var copy = new JsonArray();
      items.forEach(item -> copy.add(shared(item)));
      return copy;
    }
    if (value instanceof JsonObject object) {
      var copy = new JsonObject();
      object.entrySet().forEach(entry -> {
        if (entry.getKey().startsWith("$")) {
          throw new IllegalArgumentException("keys that begin with $ stand for what JSON does not have");
        }
        copy.add(entry.getKey(), shared(entry.getValue()));
      });
      return copy;
    }
    return value instanceof JsonPrimitive primitive && primitive.isNumber() ? number(primitive) : value;
  }

  private static JsonElement number(JsonPrimitive number) {
    var text = number.getAsString();
    if (!text.matches("-?[0-9]+")) {
      double floating = number.getAsDouble();
      if (floating == Math.rint(floating) || Double.isNaN(floating)) {
        throw new IllegalArgumentException(text + " has no fraction; give a whole number, which all languages have");
      }
      return number;
    }
    if (new BigDecimal(text).abs().compareTo(LARGEST_EXACT) <= 0) return number;
    var exact = new JsonObject();
    exact.addProperty("$int", text);
    return exact;
  }
}
