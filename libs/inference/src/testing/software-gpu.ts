import { existsSync } from 'node:fs';

/** SwiftShader, a Vulkan driver that runs on the processor. It is part of Debian's package chromium. */
const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/**
 * Lets the WebGPU provider use SwiftShader in this process and in its children, unless the environment names another Vulkan
 * driver. Call it before the first executor with that provider.
 */
export function useSoftwareGpu(): void {
  if (process.env['VK_ICD_FILENAMES'] !== undefined) return;
  if (!existsSync(SWIFTSHADER)) throw new Error(`${SWIFTSHADER} is missing: apt-get install chromium libvulkan1`);
  process.env['VK_ICD_FILENAMES'] = SWIFTSHADER;
}
