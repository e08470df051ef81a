/** More environment for a mesh whose test is not about admission: what a chunk costs on a busy machine must not refuse its calls. */
const room = { TALKMESH_UTILISATION_MAX: '10' } as const;
export const ROOMY = { 'score-model': room, 'vae-decode': room } as const;
