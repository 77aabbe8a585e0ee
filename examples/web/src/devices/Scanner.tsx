import { useEffect, useRef, useState } from "react";

import { Problem } from "../parts/Problem.tsx";

/** How often a picture is looked at. */
const EVERY_MS = 120;
/** Pictures are looked at no wider than this: codes are large in them. */
const WIDTH_PX = 640;

/** Reads a QR code by the camera. */
export function Scanner({ onRead }: { readonly onRead: (text: string) => void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [error, setError] = useState<string | null>(null);
  const read = useRef(onRead);
  useEffect(() => {
    read.current = onRead;
  });
  useEffect(() => {
    const stop = new AbortController();
    scan(video.current, stop.signal).then(
      (text) => !stop.signal.aborted && read.current(text),
      (reason: unknown) => !stop.signal.aborted && setError(inWords(reason)),
    );
    return () => stop.abort();
  }, []);
  return (
    <div className="scanner">
      <video ref={video} playsInline muted aria-label="What the camera sees" hidden={error !== null} />
      <Problem text={error} />
    </div>
  );
}

/** Looks until there is a code, and gives its text. */
async function scan(video: HTMLVideoElement | null, stop: AbortSignal): Promise<string> {
  if (!video || !navigator.mediaDevices) throw new DOMException("no camera", "NotFoundError");
  const [{ default: read }, stream] = await Promise.all([
    import("jsqr"),
    navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }),
  ]);
  try {
    stop.throwIfAborted();
    video.srcObject = stream;
    await video.play();
    const canvas = new OffscreenCanvas(1, 1);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new DOMException("no canvas", "NotSupportedError");
    for (;;) {
      stop.throwIfAborted();
      const scale = Math.min(1, WIDTH_PX / Math.max(video.videoWidth, 1));
      canvas.width = Math.max(1, Math.round(video.videoWidth * scale));
      canvas.height = Math.max(1, Math.round(video.videoHeight * scale));
      context.drawImage(video, 0, 0, canvas.width, canvas.height);
      const picture = context.getImageData(0, 0, canvas.width, canvas.height);
      const found = read(picture.data, picture.width, picture.height, { inversionAttempts: "dontInvert" });
      if (found?.data) return found.data;
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
  } finally {
    for (const track of stream.getTracks()) track.stop();
  }
}

function inWords(error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return "The camera may not be used here. Allow it in the browser, or paste the text.";
  if (name === "NotFoundError") return "No camera was found. Paste the text instead.";
  return "The camera could not be opened. Paste the text instead.";
}
