/** A way to the engine that writes down what is asked, and answers at once. */
import type { Connection } from "../src/tabs/connection.js";
import { METHODS, type Call, type Engine, type Method, type Params } from "../src/wire.js";

/** What some methods answer; the others answer with nothing in particular. */
const ANSWERS: { readonly [method in Method]?: unknown } = {
  "conversation.create": { conversation: "c" },
  "conversation.list": [],
  "device.list": [],
  "device.accept": { name: "phone" },
  "device.confirm": { device: "d" },
  "device.offer": { qr: "QR" },
  "document.export": "AQI=",
  "document.get": 1,
  "message.list": [],
  "message.send": { message: "m" },
  "sync.wait": { reached: true },
};

/** What was asked: a method with its parameters. */
export type Asked = readonly [method: Method, params: Params];

export class Recorded implements Engine {
  readonly tab = "this tab";
  /** In order. */
  readonly asked: Asked[] = [];

  call(method: Method, params: Params = {}): Promise<unknown> {
    return this.start(method, params).answer;
  }

  start(method: Method, params: Params): Call {
    // What is undefined is not sent.
    this.asked.push([method, JSON.parse(JSON.stringify(params)) as Params]);
    const edit = METHODS[method] === "read" ? undefined : `edit ${this.asked.length}`;
    return { edit, answer: Promise.resolve(ANSWERS[method] ?? {}), told: 0 };
  }

  keep(): undefined {
    return undefined;
  }

  drop(): void {
    // Nothing is kept.
  }

  onNotice(): () => void {
    return () => undefined;
  }

  onOpening(): () => void {
    return () => undefined;
  }

  onFailure(): () => void {
    return () => undefined;
  }

  onRejection(): () => void {
    return () => undefined;
  }

  opened(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** As what a client is opened with. */
  asConnection(): Connection {
    return this as unknown as Connection;
  }
}
