package io.clearway.examples;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** Waits for futures without wrapping what they failed with. */
final class Waiting {
  private Waiting() {}

  /**
   * Returns the future's value.
   *
   * @throws ClearwayException as the future has it.
   * @throws InterruptedException the thread was told to stop.
   */
  static <T> T get(CompletableFuture<T> future) throws InterruptedException {
    try {
      return future.get();
    } catch (ExecutionException failed) {
      if (failed.getCause() instanceof ClearwayException known) throw known;
      throw new IllegalStateException(failed.getCause());
    }
  }
}
