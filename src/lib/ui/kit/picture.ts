/**
 * A small square picture from whatever a person chose: cropped to the middle, 96 px, at most 8 KiB.
 *
 * It is drawn anew, so nothing of the file but its look is kept: no place, no camera, no script.
 */
import { err, ok, type Result } from '#lib/std/result.ts';

const sidePx = 96;
/** Refused before decoding: a browser would need gigabytes for it. */
const fileSizeBytesMax = 40 * 1024 * 1024;

export async function smallPicture(file: Blob, sizeBytesMax: number): Promise<Result<Uint8Array, 'bad' | 'big'>> {
  // SVG can hold scripts and outside addresses, and decodes differently everywhere.
  if (!file.type.startsWith('image/') || file.type.includes('svg')) return err('bad');
  if (file.size > fileSizeBytesMax) return err('big');
  const bitmap = await createImageBitmap(file).catch(() => undefined);
  if (!bitmap || bitmap.width === 0 || bitmap.height === 0) return err('bad');
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = sidePx;
  const context = canvas.getContext('2d');
  if (!context) return err('bad');
  const side = Math.min(bitmap.width, bitmap.height);
  context.imageSmoothingQuality = 'high';
  context.fillStyle = '#fff';
  context.fillRect(0, 0, sidePx, sidePx);
  context.drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, sidePx, sidePx);
  bitmap.close();
  for (const [type, quality] of [['image/webp', 0.85], ['image/webp', 0.6], ['image/jpeg', 0.8], ['image/jpeg', 0.5]] as const) {
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, type, quality));
    // A browser that cannot write the type answers with PNG.
    if (blob && blob.type === type && blob.size <= sizeBytesMax) return ok(new Uint8Array(await blob.arrayBuffer()));
  }
  return err('big');
}
