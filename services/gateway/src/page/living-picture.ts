import { type Avatar, savesData } from '@talkmesh/client';

/**
 * Lets a `<picture>` show an avatar: as the model recorded it in silence, or the still picture where there is no recording, the user
 * saves data or wants less motion, or the browser knows no AVIF.
 */
export function showAvatar(source: HTMLSourceElement, image: HTMLImageElement, avatar: Avatar): void {
  source.type = 'image/avif';
  source.media = '(prefers-reduced-motion: no-preference)';
  source.srcset = savesData() ? '' : (avatar.idle ?? '');
  image.src = avatar.image;
}
