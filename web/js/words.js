/** What each reason means, for the person before the camera. */
export const SENTENCES = {
  accepted: "Welcome: alive, and the right person.",
  alive: "A living face.",
  presentation_attack: "This looks like a print, a screen or a mask, not like a living person.",
  another_person: "Not the person who was remembered.",
  no_face: "No face: look into the camera.",
  several_faces: "Several people: one at a time.",
  too_small: "Too far away: come closer.",
  too_dark: "Too dark: step into the light.",
  too_bright: "Too bright: step out of the strong light.",
  cut_off: "Cut off: move into the middle of the picture.",
  blurred: "Blurred: hold still, or wipe the lens.",
  turned_away: "Turned away: look into the camera.",
  no_threshold: "These weights have no threshold to decide by.",
  not_measured: "Hold still for a moment.",
  error: "Something broke; nobody is let in.",
};

/** The sentence of a decision; without a remembered face it says only whether a face is alive. */
export function sentence({ accepted, reason }, matched) {
  if (accepted) return matched ? SENTENCES.accepted : SENTENCES.alive;
  return SENTENCES[reason] ?? SENTENCES.error;
}
