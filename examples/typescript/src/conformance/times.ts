/** Times and durations in whole microseconds, as the service keeps them; JavaScript's dates have milliseconds. */

/** Returns the microseconds since 1970 of a time as protobuf JSON writes it. */
export function micros(time: string): number {
  const found = /^(.+?)(?:\.([0-9]+))?Z$/.exec(time);
  if (found?.[1] === undefined) throw new RangeError(`'${time}' is no time`);
  return Date.parse(`${found[1]}Z`) * 1_000 + Number((found[2] ?? "").slice(0, 6).padEnd(6, "0"));
}

/** Returns a time as protobuf JSON writes it. */
export function written(time: number): string {
  const seconds = Math.floor(time / 1e6);
  const fraction = String(time - seconds * 1e6).padStart(6, "0");
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** Returns the microseconds of a duration in protobuf JSON, such as `1.5s`. */
export function span(text: string): number {
  const found = /^(-?[0-9]+(?:\.[0-9]+)?)s$/.exec(text);
  if (found === null) throw new RangeError(`'${text}' is no span of time; it must be written as '1.5s'`);
  return Math.round(Number(found[1]) * 1e6);
}
