import { imagesContract } from '../contract/images.contract.ts';
import { makeApptainerStore } from './apptainer-store.ts';

imagesContract(makeApptainerStore);
