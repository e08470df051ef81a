/**
 * Queries that may return nothing here, by a part of their place, with the reason. Everything else must return data. The metrics of these
 * exist in the sources, which `npm test` checks, and what alerts on them is tested with promtool.
 */
export const MAY_BE_EMPTY: Readonly<Record<string, string>> = {
  'Pass of a rank, p95': 'the mesh runs no parallel plan',
  'Steps of the provider, p95': 'the parrot has no steps; hosted providers and the cascade report them',
  TalkmeshCertificateExpires: 'the mesh on one machine uses a shared secret instead of certificates',
};

export const reasonFor = (place: string): string | undefined =>
  Object.entries(MAY_BE_EMPTY).find(([part]) => place.includes(part))?.[1];
