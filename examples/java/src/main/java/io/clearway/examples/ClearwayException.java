package io.clearway.examples;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import io.clearway.v1.ErrorReason;
import io.grpc.protobuf.StatusProto;

/** An error that the user can fix; it is shown without a stack trace. */
class ClearwayException extends RuntimeException {
  ClearwayException(String message) {
    super(message, null);
  }

  /** The service aborted a proposal: the run's code must not continue. */
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

  /** Returns the reason of a failed call: unspecified if it has none, or one that this client does not know. */
  static ErrorReason reasonOf(Throwable failure) {
    var status = StatusProto.fromThrowable(failure);
    if (status == null) return ErrorReason.ERROR_REASON_UNSPECIFIED;
    for (Any detail : status.getDetailsList()) {
      if (!detail.is(ErrorInfo.class)) continue;
      try {
        return ErrorReason.valueOf(detail.unpack(ErrorInfo.class).getReason());
      } catch (InvalidProtocolBufferException | IllegalArgumentException unknown) {
        return ErrorReason.ERROR_REASON_UNSPECIFIED;
      }
    }
    return ErrorReason.ERROR_REASON_UNSPECIFIED;
  }
}
