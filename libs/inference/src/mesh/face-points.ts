/** Contours of MediaPipe's canonical face, as indices of its 468 points. Left and right are the viewer's; rows go from left to right. */

export const FACE_POINTS = 468;

/** The two sides of a slit in the face: mouth or eye. Both start and end at its corners. */
export interface Slit {
  readonly upper: readonly number[];
  readonly lower: readonly number[];
}

/** Where the lips meet. */
export const LIPS: Slit = {
  upper: [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308],
  lower: [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308],
};

/** Lower border of the red of the lower lip, from corner to corner. */
export const LOWER_LIP_BORDER: readonly number[] = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291];

/** Margins of the lids. */
export const EYES: readonly [Slit, Slit] = [
  { upper: [33, 246, 161, 160, 159, 158, 157, 173, 133], lower: [33, 7, 163, 144, 145, 153, 154, 155, 133] },
  { upper: [362, 398, 384, 385, 386, 387, 388, 466, 263], lower: [362, 382, 381, 380, 374, 373, 390, 249, 263] },
];

/** Upper edges of the eyebrows. */
export const BROWS: readonly (readonly number[])[] = [
  [70, 63, 105, 66, 107],
  [336, 296, 334, 293, 300],
];

/** Outline of the face, clockwise from the middle of the forehead. */
export const OVAL: readonly number[] = [
  10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136,
  172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
];
