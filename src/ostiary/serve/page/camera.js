// The camera: a live picture, and single frames of it as JPEG. Nothing is stored.

const LONGEST_SIDE = 640;
const QUALITY = 0.92;

export class Camera {
  #video;
  #canvas = document.createElement("canvas");

  constructor(video) {
    this.#video = video;
  }

  get running() {
    return this.#video.srcObject !== null;
  }

  /** Ask for the camera, and show what it sees; throws an Error with a sentence. */
  async start() {
    if (!navigator.mediaDevices) {
      throw new Error("The browser gives a camera to secure pages only: open this one by https, or as localhost.");
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 720 } },
      });
    } catch (error) {
      const sentences = {
        NotAllowedError: "The camera was not allowed. Allow it in the browser, and start it again.",
        NotFoundError: "No camera was found. Plug one in, and start it again.",
        NotReadableError: "Another program uses the camera. Close it, and start the camera again.",
      };
      throw new Error(sentences[error.name] ?? "The camera could not be started.");
    }
    stream.getVideoTracks()[0].addEventListener("ended", () => this.stop());
    this.#video.srcObject = stream;
    await this.#video.play();
  }

  stop() {
    for (const track of this.#video.srcObject?.getTracks() ?? []) track.stop();
    this.#video.srcObject = null;
  }

  /** The present frame as a JPEG Blob; null while there is none. */
  async frame() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (!this.running || !width) return null;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(height * scale);
    this.#canvas.getContext("2d").drawImage(this.#video, 0, 0, this.#canvas.width, this.#canvas.height);
    return new Promise((resolve) => this.#canvas.toBlob(resolve, "image/jpeg", QUALITY));
  }
}
