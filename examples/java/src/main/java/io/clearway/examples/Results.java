package io.clearway.examples;

import com.google.gson.JsonElement;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.protobuf.ByteString;
import io.clearway.v1.Data;
import io.clearway.v1.RunError;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;

/** Results and failures, in forms that every language can read. */
final class Results {
  private static final int MAX_INLINE_BYTES = 65_536;
  // A failure with all its causes must stay below 65,536 bytes, at up to three bytes a character.
  private static final int MAX_TEXT = 2_000;
  private static final int MAX_DEPTH = 5;

  private Results() {}

  static Data write(JsonElement result) {
    byte[] json = result.toString().getBytes(StandardCharsets.UTF_8);
    if (json.length > MAX_INLINE_BYTES) {
      throw new IllegalArgumentException(
          "the result has %d bytes; this client keeps at most %d".formatted(json.length, MAX_INLINE_BYTES));
    }
    return Data.newBuilder()
        .setEncoding("json")
        .setInline(ByteString.copyFrom(json))
        .setSizeBytes(json.length)
        .setSha256(CacheKeys.sha256(json))
        .build();
  }

  /** Returns a result that another client may have written. */
  static JsonElement read(Data data) {
    if (data.hasLocation()) {
      throw new ClearwayException(
          "the result is kept at %s; this client reads only what is in the state".formatted(data.getLocation()));
    }
    if (!data.getEncoding().equals("json") || !data.hasInline()) {
      throw new ClearwayException(
          "the result is encoded as '%s'; this client reads only 'json'".formatted(data.getEncoding()));
    }
    try {
      byte[] bytes = data.getInline().toByteArray();
      byte[] json = switch (data.getCompression()) {
        case "" -> bytes;
        case "gzip" -> {
          try (var unpacking = new GZIPInputStream(new ByteArrayInputStream(bytes))) {
            yield unpacking.readAllBytes();
          }
        }
        default -> throw new ClearwayException(
            "the result is compressed by '%s'; this client knows only 'gzip'".formatted(data.getCompression()));
      };
      return JsonParser.parseString(new String(json, StandardCharsets.UTF_8));
    } catch (IOException | JsonParseException unreadable) {
      throw new ClearwayException("the result is not what its state says: " + unreadable.getMessage());
    }
  }

  /** Returns what was thrown in a form that every language can show, within the limits of the protocol. */
  static RunError portable(Throwable thrown) {
    return portable(thrown, 1);
  }

  private static RunError portable(Throwable thrown, int depth) {
    var frames = Arrays.stream(thrown.getStackTrace()).map(frame -> "\tat " + frame).collect(Collectors.toList());
    Collections.reverse(frames); // Java has the innermost frame first, the protocol last
    var trace = String.join("\n", frames);
    var error = RunError.newBuilder()
        .setType(head(thrown.getClass().getName(), 255))
        .setMessage(head(thrown.getMessage() == null ? "" : thrown.getMessage(), MAX_TEXT))
        .setStackTrace(trace.substring(Math.max(0, trace.length() - MAX_TEXT)));
    if (thrown.getCause() != null && depth < MAX_DEPTH) error.setCause(portable(thrown.getCause(), depth + 1));
    return error.build();
  }

  private static String head(String text, int most) {
    return text.substring(0, Math.min(text.length(), most));
  }
}
