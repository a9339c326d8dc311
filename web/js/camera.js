/** Frames of a camera, or of a picture or video that the visitor chose; none of them leaves the page. */

/** Larger pictures are made smaller before they are looked at, in pixels of the longer side. */
const LONGEST_SIDE = 1280;

export class Camera {
  #canvas = document.createElement("canvas");
  #context = this.#canvas.getContext("2d", { willReadFrequently: true });
  #picture = null;

  /** @param {HTMLVideoElement} video  shows what is seen */
  constructor(video) {
    this.video = video;
  }

  /** Ask for the camera and show it; throws what the browser says if there is none, or it was refused. */
  async start() {
    this.stop();
    const video = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" };
    this.video.srcObject = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    await this.video.play();
  }

  /** Show a picture or a video file instead. */
  async open(file) {
    this.stop();
    if (file.type.startsWith("image/")) {
      this.#picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    } else {
      this.video.src = URL.createObjectURL(file);
      this.video.loop = true;
      await this.video.play();
    }
  }

  /** Let go of the camera, the video or the picture. */
  stop() {
    for (const track of this.video.srcObject?.getTracks() ?? []) track.stop();
    if (this.video.src) URL.revokeObjectURL(this.video.src);
    this.video.srcObject = null;
    this.video.removeAttribute("src");
    this.#picture = null;
  }

  /** Whether frames come from a camera that faces the visitor, who expects a mirror. */
  get isLive() {
    return this.video.srcObject !== null;
  }

  /** Whether there is something to look at. */
  get isOpen() {
    return this.#picture !== null || (this.video.readyState >= 2 && !this.video.paused && !this.#isOver);
  }

  get #isOver() {
    return this.isLive && !this.video.srcObject.getVideoTracks().some((track) => track.readyState === "live");
  }

  /** The picture as it is now: RGBA bytes in a buffer of its own, and its size; null if there is none. */
  frame() {
    if (!this.isOpen) return null;
    const source = this.#picture ?? this.video;
    const [across, along] = [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
    const shrink = Math.min(1, LONGEST_SIDE / Math.max(across, along));
    const [width, height] = [across, along].map((length) => Math.max(1, Math.round(length * shrink)));
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#context.drawImage(source, 0, 0, width, height);
    return { rgba: this.#context.getImageData(0, 0, width, height).data.buffer, width, height };
  }

  /** What was last looked at, for the view. */
  get canvas() {
    return this.#canvas;
  }
}
