package io.clearway.examples;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.grpc.protobuf.StatusProto;

/** Something that a person can mend; it is shown without a stack trace. */
class ClearwayException extends RuntimeException {
  ClearwayException(String message) {
    super(message, null);
  }

  /** The service said that a run's code must not go on. */
  static final class Aborted extends ClearwayException {
    Aborted(String message) {
      super(message);
    }
  }

  /** Something is wrong with the command line. */
  static final class Usage extends ClearwayException {
    Usage(String message) {
      super(message);
    }
  }

  /** Returns the {@code ErrorReason} of a failed call, without its prefix; empty where it has none. */
  static String reasonOf(Throwable failure) {
    var status = StatusProto.fromThrowable(failure);
    if (status == null) return "";
    for (Any detail : status.getDetailsList()) {
      if (!detail.is(ErrorInfo.class)) continue;
      try {
        return detail.unpack(ErrorInfo.class).getReason();
      } catch (InvalidProtocolBufferException unreadable) {
        return "";
      }
    }
    return "";
  }
}
