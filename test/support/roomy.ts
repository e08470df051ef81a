/** Environment for tests that are not about admission: on a busy machine the cost of a chunk must not lead to refused calls. */
const room = { TALKMESH_UTILISATION_MAX: '10' } as const;
export const ROOMY = { 'score-model': room, 'vae-decode': room } as const;
