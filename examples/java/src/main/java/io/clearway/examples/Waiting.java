package io.clearway.examples;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** Waits for futures without wrapping their exceptions. */
final class Waiting {
  private Waiting() {}

  /**
   * Returns the future's value.
   *
   * @throws ClearwayException the future failed with it.
   * @throws InterruptedException the thread was interrupted.
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
